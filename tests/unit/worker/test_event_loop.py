"""Attempts on the worker's event loop: many at once, cancelled, timed out, and none contagious."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from datetime import timedelta

import pytest

import taskwire_contracts
from taskwire import Isolation, TaskContext, errors
from taskwire.examples.v1.math_tasks_pb2 import DivideRequest, DivideResponse
from taskwire_core.failure import FailureKind
from taskwire_worker.event_loop import EventLoop
from taskwire_worker.handlers import Handler
from taskwire_worker.held import HeldTask
from taskwire_worker.outcome import Failed, Killed, NotBegun, Outcome, Returned, Stop
from taskwire_worker.run import call_async
from tests.unit.worker import fakes

DIVIDE = "taskwire.examples.v1.MathTasks/Divide"
LONG_S = 60.0
CONTRACTS = taskwire_contracts.load([], examples=True)

Function = Callable[[DivideRequest, TaskContext], Awaitable[object]]


class Attempt:
    """One attempt, begun on the loop."""

    def __init__(self, loop: EventLoop, function: Function, timeout: timedelta) -> None:
        task = fakes.queued_task(DIVIDE, DivideRequest(dividend=1), attempt_timeout=timeout)
        self.held: HeldTask = fakes.held(task)
        self._outcome: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        handler = Handler(
            CONTRACTS.types[DIVIDE],
            function,
            Isolation.THREAD,
            DivideRequest,
            DivideResponse,
            is_async=True,
        )
        context = TaskContext(
            id="x", type=DIVIDE, attempt=1, ends_at=self.held.ends_at, stop=self.held.stop
        )
        loop.run(
            self.held,
            lambda: call_async(handler, b"", context, max_result_bytes=100),
            self._outcome.put,
        )

    def outcome(self) -> Outcome:
        return self._outcome.get(timeout=10)


Start = Callable[..., Attempt]


@pytest.fixture
def grace_s() -> float:
    # Whoever cleans up has plenty of time for it, on a busy machine too.
    return 10


@pytest.fixture
def start(grace_s: float) -> Iterator[Start]:
    loop = EventLoop(grace_s=grace_s)
    loop.start()
    yield lambda function, timeout_s=LONG_S: Attempt(loop, function, timedelta(seconds=timeout_s))
    loop.stop(10)


def failure(outcome: Outcome) -> tuple[str, bool]:
    assert isinstance(outcome, Failed), outcome
    return outcome.failure.type, outcome.failure.retryable


def test_a_coroutine_returns_its_result(start: Start) -> None:
    async def handler(_request: DivideRequest, _context: TaskContext) -> DivideResponse:
        await asyncio.sleep(0)
        return DivideResponse(quotient=2)

    outcome = start(handler).outcome()

    assert isinstance(outcome, Returned)
    assert DivideResponse.FromString(outcome.result.data).quotient == 2


def test_many_coroutines_wait_for_one_another_in_one_thread(start: Start) -> None:
    threads: set[int] = set()
    arrived: list[int] = []

    async def handler(_request: DivideRequest, _context: TaskContext) -> DivideResponse:
        threads.add(threading.get_ident())
        arrived.append(1)
        if len(arrived) == 500:
            everybody.set()
        await everybody.wait()
        return DivideResponse()

    everybody = asyncio.Event()
    attempts = [start(handler) for _ in range(500)]

    assert all(isinstance(each.outcome(), Returned) for each in attempts)
    assert len(threads) == 1


@pytest.mark.parametrize("why", list(Stop))
def test_a_coroutine_that_is_told_to_stop_is_cancelled_and_cleans_up(
    start: Start, why: Stop
) -> None:
    did: list[str] = []

    async def handler(_request: DivideRequest, context: TaskContext) -> None:
        begun.set()
        try:
            await asyncio.sleep(LONG_S)
        finally:
            await asyncio.sleep(0)
            did.append(f"cleaned up, cancelled: {context.cancelled}")

    begun = threading.Event()
    attempt = start(handler)
    assert begun.wait(10)
    attempt.held.tell_to_stop(why)

    assert attempt.outcome() == Killed()
    assert did == ["cleaned up, cancelled: True"]


def test_a_coroutine_is_cancelled_at_its_deadline(start: Start) -> None:
    async def handler(_request: DivideRequest, _context: TaskContext) -> None:
        await asyncio.sleep(LONG_S)

    assert start(handler, timeout_s=0.05).outcome() == Killed()


@pytest.mark.parametrize("grace_s", [0.05])
def test_a_cleanup_that_hangs_is_cancelled_after_the_grace(start: Start) -> None:
    async def handler(_request: DivideRequest, _context: TaskContext) -> None:
        begun.set()
        try:
            await asyncio.sleep(LONG_S)
        finally:
            await asyncio.sleep(LONG_S)

    begun = threading.Event()
    attempt = start(handler)
    assert begun.wait(10)
    attempt.held.tell_to_stop(Stop.CANCEL)

    assert attempt.outcome() == Killed()


def test_a_coroutine_that_finishes_in_spite_of_a_cancel_has_a_result(start: Start) -> None:
    async def handler(_request: DivideRequest, _context: TaskContext) -> DivideResponse:
        begun.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(LONG_S)
        return DivideResponse(quotient=7)

    begun = threading.Event()
    attempt = start(handler)
    assert begun.wait(10)
    attempt.held.tell_to_stop(Stop.CANCEL)

    assert isinstance(attempt.outcome(), Returned)


def test_what_was_told_to_stop_before_it_began_never_begins(start: Start) -> None:
    began = threading.Event()

    async def blocking(_request: DivideRequest, _context: TaskContext) -> None:
        began.set()
        assert go_on.wait(10)

    async def handler(_request: DivideRequest, _context: TaskContext) -> None:
        ran.append(1)

    ran: list[int] = []
    go_on = threading.Event()
    first = start(blocking)
    assert began.wait(10)
    attempt = start(handler)
    attempt.held.tell_to_stop(Stop.CANCEL)
    go_on.set()

    assert attempt.outcome() == NotBegun()
    assert isinstance(first.outcome(), Failed)
    assert not ran


def test_a_cancellation_of_the_handlers_own_is_an_error_like_any_other(start: Start) -> None:
    async def handler(_request: DivideRequest, _context: TaskContext) -> None:
        lost = asyncio.get_running_loop().create_future()
        lost.cancel()
        await lost

    assert failure(start(handler).outcome()) == ("asyncio.exceptions.CancelledError", True)


def test_an_error_of_a_coroutine_is_an_error_as_in_a_thread(start: Start) -> None:
    async def handler(_request: DivideRequest, _context: TaskContext) -> None:
        raise errors.NotFound("It is not there.", reason="GONE")

    outcome = start(handler).outcome()

    assert isinstance(outcome, Failed)
    assert (outcome.failure.reason, outcome.failure.retryable) == ("GONE", False)


def test_a_wrong_result_of_a_coroutine_is_refused(start: Start) -> None:
    async def handler(_request: DivideRequest, _context: TaskContext) -> int:
        return 7

    outcome = start(handler).outcome()

    assert isinstance(outcome, Failed)
    assert outcome.failure.kind is FailureKind.BAD_RESULT


def test_sys_exit_ends_neither_the_worker_nor_the_loop(start: Start) -> None:
    async def leave() -> None:
        sys.exit(3)

    async def handler(_request: DivideRequest, _context: TaskContext) -> None:
        left_behind.append(asyncio.create_task(leave()))
        sys.exit(3)

    async def healthy(_request: DivideRequest, _context: TaskContext) -> DivideResponse:
        return DivideResponse()

    left_behind: list[asyncio.Task[None]] = []
    assert failure(start(handler).outcome()) == ("SystemExit", True)
    assert isinstance(start(healthy).outcome(), Returned)


def test_context_variables_are_each_attempts_own(start: Start) -> None:
    tenant: ContextVar[str] = ContextVar("tenant", default="nobody")

    async def handler(_request: DivideRequest, _context: TaskContext) -> None:
        seen.append(tenant.get())
        tenant.set("acme")
        await asyncio.sleep(0)

    seen: list[str] = []
    for _ in range(2):
        start(handler).outcome()

    assert seen == ["nobody", "nobody"]
