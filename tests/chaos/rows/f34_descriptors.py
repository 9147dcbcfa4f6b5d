"""F34: a process may open no more files."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from socket import create_connection

from tests.chaos.cluster import Shape, To
from tests.chaos.context import Chaos
from tests.chaos.rows.registry import row
from tests.support.eventually import eventually

_CONNECTIONS = 60


@row(
    "F34",
    "A gateway and a worker have no file descriptor left",
    needs_s=45,
    shape=Shape(workers=1),
)
def no_descriptors(chaos: Chaos) -> None:
    chaos.load.more(10)
    _gateway_without_descriptors(chaos)
    _worker_without_descriptors(chaos)


def _gateway_without_descriptors(chaos: Chaos) -> None:
    """It cannot take connections; those that are there are served, and it takes them later."""
    port = chaos.cluster.port("gateway", "grpc")
    (pid,) = chaos.cluster.pids("gateway")
    with _few(chaos, "gateway", "process", more=3), ExitStack() as opened:
        for _ in range(_CONNECTIONS):
            opened.enter_context(create_connection(("127.0.0.1", port), timeout=5))
        eventually(lambda: _left(pid) <= 0, what="every descriptor is used")
        chaos.load.more(20)
        chaos.stay(5)
    assert chaos.cluster.alive("gateway")
    chaos.load.more(20)
    with create_connection(("127.0.0.1", port), timeout=5):
        task_id = chaos.submit()
        assert chaos.ended(task_id).state == "SUCCEEDED"


def _worker_without_descriptors(chaos: Chaos) -> None:
    """It loses every connection and can make no other; when it can, it works on."""
    with _few(chaos, "worker", "child", more=0):
        links = chaos.cluster.links("worker")
        accepted = chaos.cluster.links("worker", "rabbitmq").accepted
        links.cut()
        chaos.load.more(20)
        chaos.stay(5)
        apart = chaos.submit("WorkApart")
    assert chaos.cluster.alive("worker")
    assert chaos.ended(apart, within=90).state == "SUCCEEDED"
    assert chaos.cluster.links("worker", "rabbitmq").accepted > accepted


@contextmanager
def _few(chaos: Chaos, name: str, to: To, *, more: int) -> Iterator[None]:
    """The processes of a service may open `more` files beside those that are open."""
    pids = chaos.cluster.pids(name, to)
    limits = {pid: resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in pids}
    with chaos.fault("few descriptors", name):
        for pid, (_, hard) in limits.items():
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (_highest(pid) + 1 + more, hard))
        try:
            yield
        finally:
            for pid, limit in limits.items():
                if Path(f"/proc/{pid}").exists():
                    resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)


def _highest(pid: int) -> int:
    return max(int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir())


def _left(pid: int) -> int:
    """How many files the process may still open."""
    soft, _ = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    return soft - len(list(Path(f"/proc/{pid}/fd").iterdir()))
