"""F23: a cancel meets the end of its task, wherever its worker and its gateway are just then.

The worker's process stops at each of its steps, of which one at a time is met by a cancel; then
the gateway stops in the middle of a cancel until the task has ended. Last many just race.
"""

from __future__ import annotations

import random
import re
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from taskwire_core.lifecycle import State
from tests.chaos.cluster import Shape
from tests.chaos.context import Chaos
from tests.chaos.records import Ok, Outcome
from tests.chaos.rows.registry import row
from tests.chaos.stops import stopped_of
from tests.chaos.work import Kind
from tests.support.eventually import eventually

_CLAIM = ("claim.received", "claim.begun", "claim.committed", "claim.acknowledged")
_COMMIT = ("write.executed", "write.committed", "write.announced")
_SETTLE = ("settle.begun", "settle.written")

_MEETINGS: list[tuple[Kind, str, int]] = [
    # The first commit is the claim's, the second one that of the result.
    *(("Work", point, 1) for point in (*_CLAIM, "run.begun", "run.ended", *_SETTLE)),
    *(("Work", point, hit) for point in _COMMIT for hit in (1, 2)),
    ("WorkAsync", "run.coroutine_begun", 1),
    ("WorkAsync", "run.coroutine_ended", 1),
    ("WorkAsync", "settle.begun", 1),
    ("WorkApart", "run.isolated_begun", 1),
    ("WorkApart", "run.isolated_ended", 1),
]
"""Where a cancel meets which kind of task, and at which of its hits."""

_POINTS = {point for _, point, _ in _MEETINGS}
_HIT = re.compile(r"failpoint hit (.*)")
_SENT_WITHIN_S = 0.3
_RACES = 40


@row(
    "F23",
    "A cancel meets the end of a task at each step of its worker and of its gateway",
    needs_s=60,
    shape=Shape(settings={"worker_threads": "2"}),
    plan=None,
)
def cancel_meets_finish(chaos: Chaos) -> None:
    with chaos.fault("SIGSTOP", "worker"):
        ends = Counter(_meet_in_worker(chaos))
    with chaos.fault("SIGSTOP", "gateway"):
        ends.update(_meet_in_gateway(chaos))
    with chaos.fault("race", "cancel"):
        ends.update(_race(chaos))
    assert {"CANCELLED", "SUCCEEDED"} <= ends.keys(), ends


def _meet_in_worker(chaos: Chaos) -> Iterator[str]:
    chaos.cluster.send("TERM", "worker")
    assert chaos.cluster.wait_until_ended("worker") == 0
    starts_at = len(chaos.cluster.log("worker"))
    stops = ",".join(f"{point}:stop@*" for point in sorted(_POINTS))
    chaos.cluster.start("worker", failpoints=stops, wait=False)

    def started() -> bool:
        # Its supervisor writes as well, and stops at it.
        _let_go(chaos)
        return "worker started" in chaos.cluster.log("worker")[starts_at:]

    eventually(started, within=120)
    with ThreadPoolExecutor(1) as pool:
        for kind, point, hit in _MEETINGS:
            deaf = kind == "Work" and chaos.chance.random() < 0.5
            at = len(chaos.cluster.log("worker"))
            submitted = pool.submit(chaos.submit, kind, 0.02, deaf=deaf)
            _let_go_until(chaos, submitted)
            yield _step(chaos, pool, submitted.result(), at, point, hit)
    # It stops no more, and lets go on what stands still.
    chaos.kill("worker")
    chaos.cluster.start("worker")


def _step(
    chaos: Chaos, pool: ThreadPoolExecutor, task_id: str, at: int, point: str, hit: int
) -> str:
    """Lead a task's worker from stop to stop; how the task ends that is cancelled on its way."""
    cancels: list[Future[Outcome]] = []

    def state() -> str:
        if not cancels and _hits(chaos, point, at) >= hit:
            cancels.append(pool.submit(chaos.client.cancel, task_id, "chaos"))
            wait(cancels, _SENT_WITHIN_S)
        _let_go(chaos)
        # Its end may be seen before the point that follows it.
        return _ended(chaos, task_id) if cancels else ""

    end = eventually(state, within=60, what=f"{task_id} ends after {point} ({hit})")
    _let_go_until(chaos, cancels[0])
    assert isinstance(cancels[0].result(), Ok)
    return end


def _let_go_until(chaos: Chaos, answered: Future[Any]) -> None:
    def done() -> bool:
        _let_go(chaos)
        return answered.done()

    eventually(done, within=60)


def _let_go(chaos: Chaos) -> None:
    """Also when nothing is met: on SQLite it may stand still with the lock of all writers."""
    if stopped_of(chaos.cluster, "worker"):
        chaos.cluster.send("CONT", "worker", to="all")


def _hits(chaos: Chaos, point: str, at: int) -> int:
    """How often the worker's processes that claim or run have come to a point since then."""
    (supervisor,) = chaos.cluster.pids("worker")
    told = [line.split() for line in _HIT.findall(chaos.cluster.log("worker")[at:])]
    return sum(f"failpoint={point}" in line and f"pid={supervisor}" not in line for line in told)


def _meet_in_gateway(chaos: Chaos) -> Iterator[str]:
    points = ("cancel.begun", "cancel.committed")
    _restart(chaos, "gateway", [f"{point}:stop@*" for point in points])
    with ThreadPoolExecutor(1) as pool:
        for deaf in (True, False):
            task_id = chaos.submit("Work", 1.0, deaf=deaf)
            chaos.journal.begun(task_id)
            at = len(chaos.cluster.log("gateway"))
            cancelled = pool.submit(chaos.client.cancel, task_id, "chaos")
            for point in points:
                # By its name: it may go from one to the other before anybody looks.
                eventually(lambda: _stands_at(chaos, point, at), within=60, what=point)  # noqa: B023  # called at once
                if point == points[0] and deaf:
                    eventually(lambda: len(chaos.journal.entries(task_id)) > 1)  # noqa: B023  # called at once
                    # The worker writes what the handler has returned, while the gateway stands.
                    chaos.stay(0.3)
                chaos.cluster.send("CONT", "gateway")
            assert isinstance(cancelled.result(30), Ok)
            yield chaos.ended(task_id).state
    _restart(chaos, "gateway", [])


def _stands_at(chaos: Chaos, point: str, at: int) -> bool:
    """Whether the gateway has come to a point since then, and has not gone on."""
    told = f"failpoint={point}" in chaos.cluster.log("gateway")[at:]
    return told and bool(stopped_of(chaos.cluster, "gateway"))


def _race(chaos: Chaos) -> list[str]:
    """Cancels about when their tasks end, of several callers at the same time."""
    ended: list[str] = []

    def run(seed: str) -> None:
        chance = random.Random(seed)
        for _ in range(_RACES):
            seconds = chance.uniform(0, 0.1)
            task_id = chaos.submit("Work", seconds, deaf=chance.random() < 0.3)
            threading.Event().wait(seconds + chance.uniform(-0.05, 0.05))
            chaos.client.cancel(task_id, "chaos")
            ended.append(chaos.ended(task_id).state)

    racers = [threading.Thread(target=run, args=[f"{chaos.chance.random()}"]) for _ in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert len(ended) == len(racers) * _RACES
    return ended


def _restart(chaos: Chaos, name: str, failpoints: list[str]) -> None:
    chaos.cluster.send("TERM", name)
    assert chaos.cluster.wait_until_ended(name) == 0
    chaos.cluster.start(name, failpoints=",".join(failpoints))


def _ended(chaos: Chaos, task_id: str) -> str:
    """The state of a task that has ended, "" of any other."""
    outcome = chaos.client.get(task_id)
    if isinstance(outcome, Ok) and State[outcome.told[0].state].terminal:
        return outcome.told[0].state
    return ""
