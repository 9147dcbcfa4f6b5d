"""What stands for the rooms around the worker: a ledger in memory, and tasks to claim."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from datetime import timedelta

from google.protobuf.message import Message
from msgspec.structs import replace

import taskwire_contracts
from taskwire_contracts.limits import Limits
from taskwire_contracts.preparation import Preparation
from taskwire_contracts.validation import Rules
from taskwire_core.ids import new_id
from taskwire_core.lifecycle import State
from taskwire_core.options import RetryPolicy, TaskOptions
from taskwire_core.recovery import Settlement
from taskwire_core.task import Dispatch, NewTask, Payload, ProgressRing, Task
from taskwire_db.clock import HostClock
from taskwire_worker.held import HeldTask
from taskwire_worker.ports import Renewal, Report, WorkerRow
from tests.support.memory_store import MemoryBook, MemoryLedger, MemoryStore

SECOND_US = 1_000_000


def preparation() -> Preparation:
    """What checks submissions against the examples' contracts."""
    contracts = taskwire_contracts.load([], examples=True)
    return Preparation(contracts, HostClock(), Limits(payload_bytes=1000), Rules())


def queued_task(
    type: str,
    request: Message,
    *,
    retry: RetryPolicy | None = None,
    at_most_once: bool = False,
    solo: bool = False,
    crashes: int = 0,
    total_timeout: timedelta | None = None,
    attempt_timeout: timedelta = timedelta(minutes=10),
) -> Task:
    """A task as the store has it before its claim."""
    now = time.time_ns() // 1000
    total = None if total_timeout is None else now + total_timeout // timedelta(microseconds=1)
    return Task(
        id=new_id(),
        type=type,
        owner="somebody",
        state=State.QUEUED,
        version=1,
        attempt=0,
        handed_back=0,
        crashes=crashes,
        solo=solo,
        dispatch=1,
        dispatched=True,
        options=TaskOptions(
            queue="q",
            retry=retry or RetryPolicy(),
            at_most_once=at_most_once,
            attempt_timeout=attempt_timeout,
        ),
        create_time_us=now,
        schedule_time_us=now,
        not_before_us=now,
        update_time_us=now,
        total_deadline_us=total,
        input=Payload(request.DESCRIPTOR.full_name, request.SerializeToString()),
    )


def claimed(task: Task) -> Task:
    """`task` as a claim returns it."""
    now = time.time_ns() // 1000
    deadline = now + task.options.attempt_timeout // timedelta(microseconds=1)
    if task.total_deadline_us is not None:
        deadline = min(deadline, task.total_deadline_us)
    return replace(
        task,
        state=State.RUNNING,
        version=task.version + 1,
        attempt=task.attempt + 1,
        update_time_us=now,
        start_time_us=task.start_time_us or now,
        run_deadline_us=deadline,
    )


def dispatch_of(task: Task) -> Dispatch:
    """The message that names `task`."""
    return Dispatch(task.id, task.type, task.options.queue, task.dispatch)


def held(task: Task) -> HeldTask:
    """`task`, claimed and in hand."""
    return HeldTask(claimed(task), dispatch_of(task), time.monotonic())


class FakeLedger(MemoryLedger):
    """The store in memory, and what it was asked; a test may have it fail."""

    def __init__(self) -> None:
        store = MemoryStore()
        worker_id = new_id()
        MemoryBook(store, ttl_us=2**62).register(WorkerRow(worker_id, "here", 1, 8, (), ()))
        super().__init__(store, worker_id)
        self.children: list[NewTask] = []
        self.submission_fails: Exception | None = None
        self.settled: list[Settlement] = []
        self.stored: list[ProgressRing] = []
        self.strange: list[Dispatch] = []
        self.poison: list[str] = []
        self.defect: Exception | None = None
        self.settling = threading.Condition()

    def add(self, *tasks: Task) -> list[Dispatch]:
        """Makes `tasks` claimable; their messages."""
        for task in tasks:
            self.store.put(task)
        return [dispatch_of(task) for task in tasks]

    def running(self, task: Task) -> Task:
        """`task`, claimed here."""
        (claimed,) = self.claim(self.add(task))
        return claimed

    def settle(self, settlement: Settlement) -> Future[Task | None]:
        if self.defect is not None:
            broken: Future[Task | None] = Future()
            broken.set_exception(self.defect)
            return broken
        answer = super().settle(settlement)
        if answer.exception() is None:
            with self.settling:
                self.settled.append(settlement)
                self.settling.notify_all()
        return answer

    def submit(self, child: NewTask, attempt: int) -> Future[bytes]:
        if self.submission_fails is not None:
            refused: Future[bytes] = Future()
            refused.set_exception(self.submission_fails)
            return refused
        answer = super().submit(child, attempt)
        if answer.exception() is None and answer.result() == child.id:
            self.children.append(child)
        return answer

    def unhandled(self, dispatches: Sequence[Dispatch]) -> None:
        self.strange.extend(dispatches)
        super().unhandled(dispatches)

    def progress(self, rings: Sequence[ProgressRing]) -> None:
        self.stored.extend(rings)
        super().progress(rings)

    def refused(self, queue: str, body: bytes, problem: str) -> None:
        self.poison.append(problem)

    def settlements(self, count: int, *, within: float = 10.0) -> list[Settlement]:
        """The settlements, once there are `count`."""
        with self.settling:
            assert self.settling.wait_for(lambda: len(self.settled) >= count, within)
            return list(self.settled)


class FakeBook(MemoryBook):
    """The store's list of workers in memory, and what it was told."""

    def __init__(self) -> None:
        super().__init__(MemoryStore(), ttl_us=2**62)
        self.reports: list[Mapping[bytes, Report]] = []
        self.renewed_at: list[float] = []
        self.lost_ones: list[bytes] = []
        self.retired_ones: list[bytes] = []

    def renew(self, reports: Mapping[bytes, Report]) -> Renewal:
        renewal = super().renew(reports)
        self.reports.append(reports)
        self.renewed_at.append(time.monotonic())
        return renewal

    def lost(self, worker_id: bytes) -> None:
        super().lost(worker_id)
        self.lost_ones.append(worker_id)

    def retired(self, worker_id: bytes) -> None:
        super().retired(worker_id)
        self.retired_ones.append(worker_id)


class FakeDoorbell:
    """Remembers what was rung."""

    def __init__(self) -> None:
        self.rung: list[ProgressRing] = []

    def progress(self, rings: Sequence[ProgressRing]) -> None:
        self.rung.extend(rings)
