"""The bare echo: what grpc.aio itself answers on this machine."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.load.h2load import Request
from bench.subjects.program import Program
from bench.subjects.requests import request_for
from tests.support.eventually import eventually


class BareEcho(Program):
    """It has no tasks, so nothing is awaited but the answers."""

    name = family = "bare echo"

    def start(self) -> None:
        self.spawn("echo", f"-m bench.baseline.bare_echo {self.addresses[0]}", Path(sys.executable))
        self.servers = {}
        eventually(lambda: self.listens("echo"), within=30, what="the echo listens")

    def request(self, kind: str, tasks: int) -> Request:
        return request_for(kind, tasks)

    def ended(self) -> None:
        return None

    def check(self, expected: int) -> None:
        """h2load has seen every answer."""
