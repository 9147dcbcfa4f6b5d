"""Every failpoint with the process that comes to it, and what it takes to crash that one there."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict, Unpack

from tests.chaos import errands
from tests.chaos.context import Chaos
from tests.chaos.errands import Errand, nothing
from tests.support.eventually import eventually

Service = Literal["gateway", "keeper", "worker"]
Where = Literal["main", "child", "apart"]
"""Of a service: its main process, a worker process, or the process of one handler."""

Kill = Literal["kill", "kill-group"]

_HIT = re.compile(r"failpoint hit .*?failpoint=(\S+) action=(\S+) count=\d+ pid=(\d+)")
_HIT_WITHIN_S = 120.0
_PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class CrashPoint:
    """A failpoint in a service, and how it is come to."""

    failpoint: str
    service: Service
    where: Where = "main"
    at: int = 3
    """The hit: not the first one, where there are many, so that a load is under way."""
    errand: Errand = nothing
    once: bool = False
    """The errand is not repeated until the failpoint is hit."""
    before: Errand = nothing
    """What must have happened before the service is started with its failpoint."""
    fast: bool = False
    """Whether it is among those that `make test` crashes at."""

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"{self.failpoint} in the {self.service}"


class _How(TypedDict, total=False):
    once: bool
    fast: bool


def _gateway(
    failpoint: str, at: int = 3, errand: Errand = nothing, /, **how: Unpack[_How]
) -> CrashPoint:
    return CrashPoint(failpoint, "gateway", "main", at, errand, **how)


def _keeper(
    failpoint: str, at: int = 1, errand: Errand = nothing, /, **how: Unpack[_How]
) -> CrashPoint:
    return CrashPoint(failpoint, "keeper", "main", at, errand, **how)


def _worker(
    failpoint: str, at: int = 3, errand: Errand = nothing, /, **how: Unpack[_How]
) -> CrashPoint:
    return CrashPoint(failpoint, "worker", "child", at, errand, **how)


def _supervisor(
    failpoint: str, at: int = 1, errand: Errand = nothing, /, **how: Unpack[_How]
) -> CrashPoint:
    return CrashPoint(failpoint, "worker", "main", at, errand, **how)


GATEWAY = (
    _gateway("submit.checked"),
    _gateway("submit.committed", fast=True),
    _gateway("submit.acknowledged", 3, errands.submit_a_stream),
    _gateway("publish.begun"),
    _gateway("publish.sent"),
    _gateway("publish.confirmed", fast=True),
    _gateway("publish.marked"),
    _gateway("cancel.begun", 2),
    _gateway("cancel.committed", 2),
    _gateway("watch.subscribed"),
    _gateway("watch.read"),
    _gateway("watch.rung", 10),
    _gateway("watch.ending"),
    _gateway("durable.answering"),
    _gateway("changes.listening", 1),
    _gateway("changes.begun", 1),
    _gateway("changes.syncing", 1),
    _gateway("changes.read", 2),
    _gateway("bulk.begun", 1, errands.cancel_in_bulk, once=True),
    _gateway("write.executed", 10),
    _gateway("write.committed", 10),
    _gateway("write.announced", 10),
    _gateway("feed.taken", 10),
    _gateway("feed.sent", 10),
    _gateway("drain.refusing", 1, errands.end_the_gateway, once=True),
    _gateway("drain.leaving", 1, errands.end_the_gateway, once=True),
)

KEEPER = (
    _keeper("keeper.leads"),
    _keeper("sweep.begun", 10),
    _keeper("sweep.due", 3),
    _keeper("sweep.deadlines", 1, errands.submit_a_task_that_nobody_takes),
    _keeper("sweep.backlog", 3, fast=True),
    _keeper("publish.sent", 3),
    _keeper("sweep.lost", 1, errands.lose_the_worker, once=True),
    _keeper("sweep.released", 1, errands.lose_the_gateway, once=True),
    _keeper("sweep.stranded", 1, errands.lose_messages, once=True),
    _keeper("bulk.prepared", 1, errands.cancel_in_bulk, once=True),
    _keeper("bulk.advanced", 1, errands.cancel_in_bulk, once=True),
    _keeper("retention.deleted", 1, errands.submit_a_task_that_is_forgotten),
    _keeper("retention.pruned", 1, errands.let_the_change_log_age),
    _keeper("write.executed", 5),
    _keeper("write.committed", 5),
)

WORKER = (
    _worker("claim.received"),
    _worker("claim.begun"),
    _worker("claim.committed", fast=True),
    _worker("claim.acknowledged"),
    _worker("run.begun"),
    _worker("run.ended", fast=True),
    _worker("run.coroutine_begun"),
    _worker("run.coroutine_ended"),
    _worker("run.submitted", 1, errands.submit_a_task_that_submits),
    _worker("settle.begun"),
    _worker("settle.written"),
    _worker("cancel.heard", 1, errands.cancel_a_running_task),
    _worker("follow_ups.made", 1, errands.submit_a_task_that_is_followed),
    # The supervisor writes too, but not so often.
    _worker("write.executed", 30),
    _worker("write.committed", 30),
    _worker("write.announced", 30),
    _worker("feed.taken", 30),
    _worker("feed.sent", 30),
    CrashPoint("run.isolated_begun", "worker", "apart", 1, errands.submit_a_task_that_runs_apart),
    CrashPoint("run.isolated_ended", "worker", "apart", 1, errands.submit_a_task_that_runs_apart),
)

SUPERVISOR = (
    _supervisor("lease.registered"),
    _supervisor("lease.renewing", 2),
    _supervisor("lease.renewed", 2),
    _supervisor("lease.expired", 1, errands.kill_a_worker_process, once=True),
    _worker("drain.begun", 1, errands.end_the_worker, once=True),
    _worker("drain.handed_back", 1, errands.end_the_worker, once=True),
    _supervisor("drain.retiring", 1, errands.end_the_worker, once=True),
    _worker("spool.written", 1, errands.end_the_worker_without_the_store, once=True),
    _worker("spool.kept", 1, errands.end_the_worker_without_the_store, once=True),
    CrashPoint("spool.read", "worker", at=1, before=errands.leave_a_spool_behind),
    CrashPoint("spool.replayed", "worker", at=1, before=errands.leave_a_spool_behind),
)

MIGRATION = ("migrate.step", "migrate.committed")
"""Of a command that ends by itself."""

CRASH_POINTS = (*GATEWAY, *KEEPER, *WORKER, *SUPERVISOR)


@dataclass(frozen=True, slots=True)
class Hit:
    """A line of a log: a failpoint has acted in the process `pid`."""

    failpoint: str
    action: str
    pid: int


def hits_in(log: str) -> list[Hit]:
    """The failpoints that have acted, in the order of the log."""
    return [Hit(name, action, int(pid)) for name, action, pid in _HIT.findall(log)]


def crash(chaos: Chaos, point: CrashPoint, action: Kill = "kill") -> None:
    """Have a service die at a failpoint under load.

    It lives again before this returns where an errand waits for that, or else by the next crash.
    """
    cluster, service = chaos.cluster, point.service
    for other in cluster.processes:
        if not cluster.alive(other) and (other != service or point.before is not nothing):
            cluster.start(other)
    point.before(chaos)
    if cluster.alive(service):
        cluster.send("TERM", service)
        cluster.wait_until_ended(service)
    said_before = len(cluster.log(service))
    cluster.start(service, failpoints=f"{point.failpoint}:{action}@{point.at}", wait=False)
    with _on_an_errand(chaos, point):
        found = eventually(
            lambda: hits_in(cluster.log(service)[said_before:]),
            within=_HIT_WITHIN_S,
            what=f"{point.name} is hit",
        )
        chaos.recorder.begin_fault(f"{action} at {point.failpoint}", service)
        assert found[0].failpoint == point.failpoint
        require_death(chaos, point, action, found[0].pid)
        if point.errand in errands.ENDING:
            cluster.wait_until_ended(service)
        if point.errand is not nothing and not cluster.alive(service):
            cluster.start(service)


def require_death(chaos: Chaos, point: CrashPoint, action: Kill, pid: int) -> None:
    """The process that has come to the failpoint was killed there, and with a group its service."""
    cluster, service = chaos.cluster, point.service
    main = cluster.processes[service].pid
    assert (pid == main) == (point.where == "main"), f"{point.name} was hit by another process"
    if point.where == "main" or action == "kill-group":
        assert cluster.wait_until_ended(service, within=10) == -signal.SIGKILL
    eventually(lambda: not runs(pid), what=f"the process that came to {point.name} is dead")


def runs(pid: int) -> bool:
    """Whether there is such a process, and it is not dead and waits to be reaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")


@contextmanager
def _on_an_errand(chaos: Chaos, point: CrashPoint) -> Iterator[None]:
    """The point's errand is under way in a thread; at the end it is done to its end."""
    enough, problems = threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            point.errand(chaos)
            while not point.once and not enough.wait(_PAUSE_S):
                point.errand(chaos)
        except BaseException as problem:
            problems.append(problem)

    thread = threading.Thread(target=run, name=f"errand to {point.failpoint}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join(_HIT_WITHIN_S)
    assert not thread.is_alive(), "the errand never ends"
    if problems:
        raise AssertionError(f"the errand to {point.name} has failed") from problems[0]
