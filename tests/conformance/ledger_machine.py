"""Workers that write into a real store and into the fake: both must say the same at every step.

So the fake is the model of the store, and cannot come to answer what the store would not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from taskwire_core import recovery
from taskwire_core.failure import Code, Failure, FailureKind
from taskwire_core.ids import new_id
from taskwire_core.recovery import Settlement
from taskwire_core.task import Dispatch, NewTask, Payload, Progress, ProgressRing, Task
from taskwire_worker.ports import Report, WorkerRow
from tests.store.steps import new_task, options
from tests.support.stores import Stores
from tests.support.workplaces import MemoryWorkplace, StoreWorkplace, Workplace, dispatch_of

T = TypeVar("T")
ENDS = ["success", "error", "final error", "handed back", "not begun", "lost", "timed out"]


class Workers(RuleBasedStateMachine):
    """Submit, cancel, claim in groups, settle in time and late, submit from within, crash."""

    stores: Stores
    """Where each history gets a database of its own; a test sets it."""

    def __init__(self) -> None:
        super().__init__()
        self.closing = contextlib.ExitStack()
        real = StoreWorkplace(self.closing.enter_context(self.stores.migrated()))
        self.closing.callback(real.close)
        self.real: Workplace = real
        self.fake: Workplace = MemoryWorkplace()
        self.workers: list[bytes] = []
        self.tasks: list[bytes] = []
        self.sent: list[Dispatch] = []
        self.attempts: list[Task] = []
        """Every attempt that has begun, whatever has become of it."""

    def both(self, ask: Callable[[Workplace], T]) -> T:
        """What both answer to the same."""
        real, fake = ask(self.real), ask(self.fake)
        assert real == fake, f"the store says {real!r}, and the fake {fake!r}"
        return real

    @rule()
    def a_worker_comes(self) -> None:
        row = WorkerRow(new_id(), "host", 1, 8, ("acme.v1.Images/Shrink",), ("images",))
        self.both(lambda place: place.book.register(row))
        self.workers.append(row.id)

    @initialize()
    def somebody_is_at_work(self) -> None:
        self.a_worker_comes()
        for once in (False, True):
            self.a_caller_submits(delay=0, attempts=3, once=once, timed=False)

    @rule(
        delay=st.sampled_from([0, 0, 5]),
        attempts=st.sampled_from([1, 3]),
        once=st.booleans(),
        timed=st.booleans(),
    )
    def a_caller_submits(self, delay: int, attempts: int, once: bool, timed: bool) -> None:
        opts = options(
            max_attempts=1 if once else attempts,
            at_most_once=once,
            start_timeout=30 if timed else None,
            total_timeout=90 if timed else None,
        )
        new = new_task(self.real.clock.now_us(), opts=opts, delay_s=delay)
        self.both(lambda place: place.submit(new))
        self._known(new)

    def _known(self, new: NewTask) -> None:
        self.tasks.append(new.id)
        self.sent.append(dispatch_of(new))

    @rule(data=st.data())
    def a_caller_cancels(self, data: st.DataObject) -> None:
        task_id = data.draw(st.sampled_from(self.tasks))
        self.both(lambda place: place.cancel(task_id))

    @rule(data=st.data(), count=st.integers(1, 4))
    def a_worker_claims(self, data: st.DataObject, count: int) -> None:
        worker_id = data.draw(st.sampled_from(self.workers))
        group = [data.draw(st.sampled_from(self.sent)) for _ in range(count)]
        claimed = self.both(lambda place: list(place.ledger(worker_id).claim(group)))
        self.attempts += claimed

    @precondition(lambda self: self.attempts)
    @rule(data=st.data(), how=st.sampled_from(ENDS))
    def an_attempt_ends(self, data: st.DataObject, how: str) -> None:
        """It may have ended before, and another one may run."""
        task = data.draw(st.sampled_from(self.attempts))
        settlement = _settlement(task, how, self.real.clock.now_us())
        worker_id = data.draw(st.sampled_from(self.workers))
        self.both(lambda place: place.ledger(worker_id).settle(settlement).result(10))

    @precondition(lambda self: self.attempts)
    @rule(data=st.data(), name=st.sampled_from("ab"), content=st.sampled_from([b"x", b"y"]))
    def an_attempt_submits(self, data: st.DataObject, name: str, content: bytes) -> None:
        parent = data.draw(st.sampled_from(self.attempts))
        request_id = f"{parent.id.hex()}:{name}"
        new = new_task(self.real.clock.now_us(), request_id=request_id, content=content)
        child = replace(new, parent=parent.id, generation=1)
        ledger = self.workers[0]
        made = self.both(lambda place: _said(place.ledger(ledger).submit(child, parent.attempt)))
        if made == child.id:
            self._known(child)

    @precondition(lambda self: self.attempts)
    @rule(data=st.data(), percent=st.integers(1, 99))
    def an_attempt_tells_its_progress(self, data: st.DataObject, percent: int) -> None:
        task = data.draw(st.sampled_from(self.attempts))
        progress = Progress(percent / 100, percent, 100, "", self.real.clock.now_us())
        ring = ProgressRing(task.id, task.attempt, progress)
        self.both(lambda place: place.ledger(self.workers[0]).progress([ring]))

    @rule(data=st.data(), number=st.integers(1, 3))
    def a_worker_has_no_handler(self, data: st.DataObject, number: int) -> None:
        dispatch = replace(data.draw(st.sampled_from(self.sent)), number=number)
        self.both(lambda place: place.ledger(self.workers[0]).unhandled([dispatch]))

    @rule()
    def the_supervisor_renews(self) -> None:
        reports = {worker_id: Report() for worker_id in self.workers}

        def renewed(place: Workplace) -> tuple[object, object]:
            renewal = place.book.renew(reports)
            return renewal.alive, {k: sorted(v) for k, v in renewal.cancelling.items()}

        self.both(renewed)

    @precondition(lambda self: len(self.workers) > 1)
    @rule(data=st.data(), in_order=st.booleans())
    def a_worker_goes(self, data: st.DataObject, in_order: bool) -> None:
        gone = data.draw(st.sampled_from(self.workers))
        self.workers.remove(gone)
        if in_order:
            self.both(lambda place: place.book.retired(gone))
        else:
            self.both(lambda place: place.book.lost(gone))

    @rule(seconds=st.sampled_from([1, 6, 25]))
    def time_passes(self, seconds: int) -> None:
        for place in (self.real, self.fake):
            place.clock.advance(seconds)
            place.make_due()

    @invariant()
    def they_hold_the_same(self) -> None:
        for task_id in self.tasks:
            self.both(lambda place, task_id=task_id: place.read(task_id))  # type: ignore[misc]
        self.both(lambda place: place.count())

    def teardown(self) -> None:
        self.closing.close()


def _settlement(task: Task, how: str, now_us: int) -> Settlement:
    match how:
        case "success":
            result = Payload("acme.v1.ShrinkResponse", str(task.attempt).encode())
            return recovery.succeeded(task, result)
        case "handed back":
            return recovery.handed_back(task, "a drain")
        case "not begun":
            return recovery.handed_back(task, "no thread", began=False)
        case "lost":
            return recovery.lost(task, now_us=now_us, alone=True)
        case "timed out":
            return recovery.overran(task, now_us=now_us)
        case _:
            failure = Failure(
                kind=FailureKind.APPLICATION,
                code=Code.UNAVAILABLE,
                reason="BROKEN",
                message="It broke.",
                retryable=how == "error",
            )
            return recovery.failed(task, failure, now_us=now_us)


def _said(answer: Future[Any]) -> object:
    """An answer, or the kind of error in its place."""
    error = answer.exception(10)
    return answer.result() if error is None else type(error)
