"""What every subject can do, whatever it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.load.h2load import Request
from tests.support.postgres import PostgresServer
from tests.support.servers import RabbitServer, RedisServer

ROOT = Path(__file__).parents[2]
BENCH_PYTHON = ROOT / ".cache" / "bench-venv" / "bin" / "python"


@dataclass(frozen=True, slots=True)
class Servers:
    """What the subjects of a run share; only one of them runs at a time."""

    rabbit: RabbitServer
    redis: RedisServer
    postgres: PostgresServer


class Subject:
    """Something that takes tasks."""

    name: str
    family: str
    """Those of one family are given the same number of tasks."""

    addresses: list[str]
    servers: dict[str, int]
    """The servers that do work for it, by their names: their process."""

    def start(self) -> None:
        """Start the services, and return when they take tasks."""
        raise NotImplementedError

    def close(self) -> None:
        """End every process and remove the data."""
        raise NotImplementedError

    @property
    def processes(self) -> dict[str, int]:
        """The root process of each service of its own."""
        raise NotImplementedError

    def request(self, kind: str, tasks: int) -> Request:
        """The request that hands over so many tasks."""
        raise NotImplementedError

    def client(self) -> tuple[list[str], dict[str, str]]:
        """The command and the environment of its client for more than requests."""
        raise NotImplementedError

    def ended(self) -> int | None:
        """How many tasks have ended well, as its own records say; None: it has no tasks."""
        raise NotImplementedError

    def check(self, expected: int) -> None:
        """Every task has ended well, once; AssertionError with what there is instead."""
        raise NotImplementedError

    def log(self) -> str:
        """The end of the services' logs."""
        raise NotImplementedError
