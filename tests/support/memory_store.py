"""A worker's store in memory, for tests of the worker's room that need no database.

It answers like the real ones: `tests/conformance/test_ledger.py` asks all of them the same, and
`test_ledger_machine.py` whatever hypothesis thinks of. It knows no follow-ups, no pauses and no
retention, which a worker never meets.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from datetime import timedelta
from typing import TypeVar

from msgspec.structs import replace

from taskwire_core import recovery
from taskwire_core.errors import StoreUnavailable
from taskwire_core.lifecycle import HELD, Event, State, sources, targets
from taskwire_core.recovery import Settlement
from taskwire_core.task import Dispatch, NewTask, Payload, Progress, ProgressRing, Task
from taskwire_db.rows import new_task
from taskwire_worker.ports import AttemptOver, KeyReused, Renewal, Report, WorkerRow

T = TypeVar("T")
_MICROSECOND = timedelta(microseconds=1)
_FOREVER_US = 2**62


def wall_us() -> int:
    """This host's time."""
    return time.time_ns() // 1000


class MemoryStore:
    """Tasks, and the leases of workers. While it is `away` it answers nothing."""

    def __init__(self, now_us: Callable[[], int] = wall_us) -> None:
        self.away = False
        self.tasks: dict[bytes, Task] = {}
        self.leases: dict[bytes, int] = {}
        """When each worker's lease ends."""
        self.now_us = now_us
        self.lock = threading.RLock()
        self._inputs: dict[bytes, Payload | None] = {}
        self._progress: dict[bytes, tuple[int, Progress]] = {}
        self._requests: dict[tuple[str, str], tuple[bytes, bytes]] = {}

    def answer(self) -> None:
        """Do so, or raise StoreUnavailable."""
        if self.away:
            raise StoreUnavailable("away")

    def read(self, task_id: bytes) -> Task:
        """The task with its outcome and its progress, as it is now."""
        task = self.tasks[task_id]
        attempt, progress = self._progress.get(task_id, (0, None))
        return replace(task, progress=progress if attempt == task.attempt else None)

    def put(self, task: Task) -> None:
        """Have a task in whatever state."""
        self.tasks[task.id] = replace(task, input=None)
        self._inputs[task.id] = task.input

    def submit(self, new: NewTask) -> bytes | None:
        """The id of the task, or of the one that its request id has made; None: other content."""
        key = (new.owner, new.request_id or "")
        task_id, content = self._requests.get(key, (new.id, new.request_hash))
        if content != new.request_hash:
            return None
        if task_id == new.id:
            self.put(new_task(new, self.now_us()))
            if new.request_id is not None:
                self._requests[key] = (new.id, new.request_hash)
        return task_id

    def cancel(self, task_id: bytes, reason: str) -> None:
        """Do what a caller's cancel does."""
        task = self.tasks[task_id]
        if task.state not in sources(Event.CANCEL):
            return
        (state,) = targets(task.state, Event.CANCEL)
        self._move(task, state, cancel_requested=True, cancel_reason=reason)

    def make_due(self) -> None:
        """Queue what has waited long enough, as the keeper does."""
        for task in self._in(sources(Event.DUE)):
            if task.not_before_us <= self.now_us():
                self._move(task, State.QUEUED, dispatch=task.dispatch + 1, dispatched=False)

    def claim(self, task_id: bytes, worker_id: bytes) -> Task | None:
        """The task with its input, now RUNNING at that worker, if it can be."""
        task, now = self.tasks.get(task_id), self.now_us()
        if task is None or not self._may_begin(task, worker_id):
            return None
        deadline = now + task.options.attempt_timeout // _MICROSECOND
        moved = self._move(
            task,
            State.RUNNING,
            attempt=task.attempt + 1,
            worker_id=worker_id,
            start_time_us=task.start_time_us or now,
            run_deadline_us=min(deadline, task.total_deadline_us or deadline),
        )
        return replace(moved, input=self._inputs[task_id])

    def settle(self, settlement: Settlement) -> Task | None:
        """The task with its outcome after an attempt's end; None when that attempt was over."""
        if settlement.target not in targets(State.RUNNING, settlement.event):
            raise ValueError(f"{settlement.event} does not lead to {settlement.target!r}")
        task = self.tasks.get(settlement.task_id)
        if task is None or task.attempt != settlement.attempt or task.state not in HELD:
            return None
        state = settlement.target
        if task.state == State.CANCELLING:
            (state,) = targets(State.CANCELLING, settlement.event)
        returned = int(settlement.event == Event.HANDED_BACK)
        return self._move(
            task,
            state,
            not_before_us=settlement.not_before_us or task.not_before_us,
            handed_back=task.handed_back + returned,
            crashes=settlement.crashes,
            solo=settlement.solo,
            dispatch=task.dispatch + returned,
            dispatched=False,
            worker_id=task.worker_id if state.terminal else None,
            start_time_us=None if settlement.never_began else task.start_time_us,
            run_deadline_us=None,
            result=settlement.result if state == State.SUCCEEDED else None,
            failure=settlement.failure if state == State.FAILED else None,
        )

    def unmark(self, dispatch: Dispatch) -> None:
        """Have the task dispatched again, unless that is not its dispatch any more."""
        task = self.tasks.get(dispatch.task_id)
        if task is not None and task.state == State.QUEUED and task.dispatch == dispatch.number:
            self.tasks[task.id] = replace(task, dispatch=task.dispatch + 1, dispatched=False)

    def note(self, ring: ProgressRing) -> None:
        """Keep a running attempt's progress."""
        if self.runs(ring.task_id, ring.attempt):
            self._progress[ring.task_id] = (ring.attempt, ring.progress)

    def runs(self, task_id: bytes | None, attempt: int) -> bool:
        """Whether that attempt has begun and has not ended."""
        task = self.tasks.get(task_id) if task_id is not None else None
        return task is not None and task.state in HELD and task.attempt == attempt

    def held_by(self, worker_id: bytes) -> list[Task]:
        """What runs at a worker."""
        return [task for task in self._in(HELD) if task.worker_id == worker_id]

    def _may_begin(self, task: Task, worker_id: bytes) -> bool:
        now = self.now_us()
        return (
            task.state == State.QUEUED
            and (task.start_time_us is not None or (task.start_deadline_us or _FOREVER_US) > now)
            and (task.total_deadline_us or _FOREVER_US) > now
            and self.leases.get(worker_id, 0) > now
        )

    def _in(self, states: Iterable[State]) -> list[Task]:
        return [task for task in self.tasks.values() if task.state in states]

    def _move(self, task: Task, state: State, **changed: object) -> Task:
        now = self.now_us()
        if state.terminal:
            ttl_us = task.options.result_ttl // _MICROSECOND
            changed |= {"end_time_us": now, "delete_time_us": now + ttl_us}
        moved = replace(
            task,
            state=state,
            version=task.version + 1,
            update_time_us=now,
            **changed,
        )
        self.tasks[task.id] = moved
        return moved


class MemoryLedger:
    """See `taskwire_worker.ports.Ledger`."""

    def __init__(self, store: MemoryStore, worker_id: bytes) -> None:
        self.store = store
        self._worker_id = worker_id

    def claim(self, dispatches: Sequence[Dispatch]) -> Sequence[Task]:
        with self.store.lock:
            self.store.answer()
            found = [self.store.claim(d.task_id, self._worker_id) for d in dispatches]
        return [task for task in found if task is not None]

    def settle(self, settlement: Settlement) -> Future[Task | None]:
        return self._written(lambda: self.store.settle(settlement))

    def submit(self, child: NewTask, attempt: int) -> Future[bytes]:
        def submitted() -> bytes:
            if not self.store.runs(child.parent, attempt):
                raise AttemptOver
            made = self.store.submit(child)
            if made is None:
                raise KeyReused
            return made

        return self._written(submitted)

    def unhandled(self, dispatches: Sequence[Dispatch]) -> None:
        for dispatch in dispatches:
            self._written(lambda each=dispatch: self.store.unmark(each))  # type: ignore[misc]

    def progress(self, rings: Sequence[ProgressRing]) -> None:
        for ring in rings:
            self._written(lambda each=ring: self.store.note(each))  # type: ignore[misc]

    def refused(self, queue: str, body: bytes, problem: str) -> None:
        """Nothing: the real ones have no place for it either."""

    def _written(self, write: Callable[[], T]) -> Future[T]:
        answer: Future[T] = Future()
        try:
            with self.store.lock:
                self.store.answer()
                answer.set_result(write())
        except Exception as error:
            answer.set_exception(error)
        return answer


class MemoryBook:
    """See `taskwire_worker.ports.WorkerBook`."""

    def __init__(self, store: MemoryStore, *, ttl_us: int) -> None:
        self.store = store
        self._ttl_us = ttl_us

    def register(self, worker: WorkerRow) -> None:
        with self.store.lock:
            self.store.answer()
            self.store.leases.setdefault(worker.id, self._end_us())

    def renew(self, reports: Mapping[bytes, Report]) -> Renewal:
        with self.store.lock:
            self.store.answer()
            now, leases = self.store.now_us(), self.store.leases
            alive = frozenset(each for each in reports if leases.get(each, 0) > now)
            leases.update(dict.fromkeys(alive, self._end_us()))
            return Renewal(alive, {each: self._cancelling(each) for each in reports})

    def lost(self, worker_id: bytes) -> None:
        with self.store.lock:
            self.store.answer()
            self.store.leases.pop(worker_id, None)
            for task in self.store.held_by(worker_id):
                self.store.settle(recovery.lost(task, now_us=self.store.now_us(), alone=False))

    def retired(self, worker_id: bytes) -> None:
        with self.store.lock:
            self.store.answer()
            for task in self.store.held_by(worker_id):
                self.store.settle(_given_back(task, self.store.now_us()))
            self.store.leases.pop(worker_id, None)

    def _end_us(self) -> int:
        return self.store.now_us() + self._ttl_us

    def _cancelling(self, worker_id: bytes) -> tuple[tuple[bytes, int], ...]:
        held = self.store.held_by(worker_id)
        return tuple((t.id, t.attempt) for t in held if t.state == State.CANCELLING)


def _given_back(task: Task, now_us: int) -> Settlement:
    if task.options.at_most_once:
        return recovery.lost(task, now_us=now_us, alone=False)
    return recovery.handed_back(task, "the worker was stopped")
