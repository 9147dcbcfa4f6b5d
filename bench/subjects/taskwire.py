"""taskwire itself, with all that it does by default, and its admin ports open."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench.load.h2load import Request
from bench.subjects.requests import request_for
from bench.subjects.subject import ROOT, Servers, Subject
from taskwire_core.lifecycle import State
from taskwire_core.queue_type import QueueType
from taskwire_db.database import Database
from tests.support.contracts import built
from tests.support.eventually import eventually
from tests.support.processes import alive, free_ports
from tests.support.stack import Stack

EXAMPLES = ROOT / "taskwire" / "_contracts" / "examples.binpb"
_OURS = f"type NOT LIKE 'acme.%' AND state <> {int(State.SCHEDULED)}"
"""The tasks that are to run: not those that were there before, nor probes, which are due later."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How it is set up; all else is by default."""

    name: str
    postgresql: bool = False
    queues: QueueType = QueueType.CLASSIC
    gateways: int = 1
    processes: int = 1
    threads: int = 8
    handlers: str = "bench.handlers"
    fill: Callable[[Path], None] | None = None
    """Puts a database with tasks there before anything is started."""


class _Stack(Stack):
    """A stack that also finds the generated modules of our own contract."""

    benchmark: Path

    @property
    def environment(self) -> dict[str, str]:
        found = super().environment
        return {**found, "PYTHONPATH": f"{self.benchmark}{os.pathsep}{found['PYTHONPATH']}"}


class Taskwire(Subject):
    """Gateways and a worker, on a database of their own."""

    family = "taskwire"

    def __init__(self, shape: Shape, servers: Servers) -> None:
        self.name = shape.name
        self._shape = shape
        self._postgres = servers.postgres if shape.postgresql else None
        contracts, _Stack.benchmark = built(ROOT / "bench" / "protos")
        settings = {
            "contracts": f"{contracts},{EXAMPLES}",
            "handlers": shape.handlers,
            "rabbitmq_queue_type": shape.queues.value,
            "worker_processes": str(shape.processes),
            "worker_threads": str(shape.threads),
            # What lies in the database is older than results are kept.
            "retention": "off" if shape.fill else "on",
        }
        if self._postgres:
            self._database_name = self._postgres.create()
            settings["database_url"] = self._postgres.url(self._database_name)
        self._stack = _Stack(
            rabbitmq_url=servers.rabbit.url, redis_url=servers.redis.url, **settings
        )
        if shape.fill:
            shape.fill(self._stack.folder / "taskwire.db")
        self._database = Database(self._stack.settings["database_url"], writable=False)
        pids = {"rabbitmq": servers.rabbit.pid, "redis": servers.redis.pid}
        if self._postgres:
            pids["postgresql"] = self._postgres.pid
        self.servers = {name: pid for name, pid in pids.items() if pid}

    def start(self) -> None:
        gateways = ["gateway", *(f"gateway{n}" for n in range(2, self._shape.gateways + 1))]
        ports = free_ports(len(gateways) + 1)
        for name, port in zip(gateways, ports, strict=False):
            self._stack.start_gateway(name, admin_listen=f"127.0.0.1:{port}")
        self._stack.start_worker(admin_listen=f"127.0.0.1:{ports[-1]}")
        self.addresses = [self._stack.addresses[name] for name in gateways]
        eventually(self._workers_live, within=30, what="the worker's processes live")

    def _workers_live(self) -> bool:
        return int(self.rows("SELECT count(*) FROM workers")[0][0]) == self._shape.processes

    def close(self) -> None:
        self._database.close()
        for name in reversed(self._stack.processes):
            if alive(self._stack.processes[name]):
                self._stack.stop(name)
        self._stack.close()
        if self._postgres:
            self._postgres.drop(self._database_name)

    @property
    def processes(self) -> dict[str, int]:
        return {name: found.pid for name, found in self._stack.processes.items()}

    def request(self, kind: str, tasks: int) -> Request:
        return request_for(kind, tasks)

    def client(self) -> tuple[list[str], dict[str, str]]:
        return [sys.executable, "-m", "bench.load.pushed"], self.environment

    @property
    def environment(self) -> dict[str, str]:
        """With it a process finds the contract's generated modules."""
        return self._stack.environment

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the database answers."""
        with self._database.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(sa.text(query))]

    def ended(self) -> int:
        well = f"state = {int(State.SUCCEEDED)} AND {_OURS}"
        return int(self.rows(f"SELECT sum(count) FROM task_counters WHERE {well}")[0][0] or 0)

    def check(self, expected: int) -> None:
        # A claimed task that waited too long is handed back, and claimed again: no fault.
        attempts = f"SELECT state, attempt - handed_back, count(*) FROM tasks WHERE {_OURS}"
        states = self.rows(f"{attempts} GROUP BY 1, 2")
        assert states == [(int(State.SUCCEEDED), 1, expected)], states
        ours = f"task_id IN (SELECT id FROM tasks WHERE {_OURS})"
        outcomes = self.rows(f"SELECT count(*) FROM task_outcomes WHERE failure IS NULL AND {ours}")
        assert outcomes == [(expected,)], outcomes
        again = int(self.rows(f"SELECT sum(handed_back) FROM tasks WHERE {_OURS}")[0][0] or 0)
        found = self.rows(f"SELECT event, count(*) FROM task_events WHERE {ours} GROUP BY 1")
        wanted = {"submit": expected, "claim": expected + again, "success": expected}
        assert dict(found) == wanted | ({"handed_back": again} if again else {}), found
        if again:
            print(f"  {again} of {expected} tasks were handed back once claimed, and claimed again")

    def log(self) -> str:
        return self._stack.logs()
