"""`async def` handlers in an embedded worker of two threads, over the real store."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration

from taskwire.examples.v1.demo_tasks_pb2 import FlakyRequest, SleepRequest
from taskwire.examples.v1.math_tasks_pb2 import DivideRequest, DivideResponse
from taskwire_core.failure import FailureKind
from taskwire_core.lifecycle import State
from taskwire_core.options import RetryPolicy
from taskwire_worker.embedded import EmbeddedWorker
from tests.support.eventually import eventually
from tests.worker import async_handlers
from tests.worker.conftest import Hire
from tests.worker.handlers import journal as read_journal
from tests.worker.town import ATTEMPT_TIMEOUT, Town

DIVIDE = "taskwire.examples.v1.MathTasks/Divide"
FLAKY = "taskwire.examples.v1.DemoTasks/Flaky"
SLEEP = "taskwire.examples.v1.DemoTasks/Sleep"
ONCE = RetryPolicy(max_attempts=1)


@pytest.fixture
def handler_modules() -> tuple[str, ...]:
    return (async_handlers.__name__,)


def divide(
    town: Town,
    seconds: float,
    *,
    attempt_timeout: timedelta = ATTEMPT_TIMEOUT,
    retry: RetryPolicy = ONCE,
) -> bytes:
    request = DivideRequest(dividend=seconds)
    return town.submit(DIVIDE, request, queue="math", attempt_timeout=attempt_timeout, retry=retry)


def sleep(town: Town, seconds: float, *, attempt_timeout: timedelta = ATTEMPT_TIMEOUT) -> bytes:
    duration = Duration()
    duration.FromTimedelta(timedelta(seconds=seconds))
    request = SleepRequest(duration=duration)
    return town.submit(SLEEP, request, queue="demo", attempt_timeout=attempt_timeout, retry=ONCE)


@pytest.mark.usefixtures("worker")
def test_many_more_run_at_once_than_there_are_threads(town: Town) -> None:
    ids = [town.submit(FLAKY, FlakyRequest(failures=40), queue="demo") for _ in range(40)]

    assert {town.ended(task_id).state for task_id in ids} == {State.SUCCEEDED}


@pytest.mark.usefixtures("worker")
def test_no_more_run_at_once_than_there_are_places(town: Town, journal: Path) -> None:
    ids = [divide(town, 60) for _ in range(101)]
    eventually(lambda: len(read_journal(journal)) == 100, what="all places are taken")
    (late,) = [i for i in ids if town.task(i).state is State.QUEUED]

    first = next(i for i in ids if i != late)
    town.cancel(first)

    town.in_state(late, State.RUNNING)


@pytest.mark.usefixtures("worker")
def test_a_cancel_ends_a_coroutine_and_frees_its_place(town: Town) -> None:
    task_id = divide(town, 60)
    town.in_state(task_id, State.RUNNING)

    town.cancel(task_id)

    assert town.ended(task_id).state is State.CANCELLED


@pytest.mark.usefixtures("worker")
def test_a_coroutine_times_out_at_its_deadline(town: Town) -> None:
    retry = RetryPolicy(max_attempts=2, initial_backoff=timedelta(0))
    task = town.ended(divide(town, 60, attempt_timeout=timedelta(seconds=0.2), retry=retry))

    assert (task.state, task.attempt) == (State.FAILED, 2)
    assert task.failure is not None
    assert task.failure.kind is FailureKind.TIMEOUT


@pytest.mark.usefixtures("worker")
def test_a_coroutine_that_swallows_its_cancellation_times_out_when_it_returns(town: Town) -> None:
    task = town.ended(sleep(town, 0.6, attempt_timeout=timedelta(seconds=0.2)))

    assert task.state is State.FAILED
    assert task.failure is not None
    assert task.failure.kind is FailureKind.TIMEOUT


def test_a_drain_lets_coroutines_finish(town: Town, worker: EmbeddedWorker) -> None:
    task_id = divide(town, 0.5)
    town.in_state(task_id, State.RUNNING)

    worker.drain(10)

    assert town.task(task_id).state is State.SUCCEEDED


def test_a_drain_cancels_what_does_not_finish_and_another_worker_takes_it_up(
    town: Town, worker: EmbeddedWorker, hire: Hire
) -> None:
    listening, deaf = divide(town, 60), sleep(town, 8)
    for task_id in (listening, deaf):
        town.in_state(task_id, State.RUNNING)

    worker.drain(0.1)

    for task_id in (listening, deaf):
        task = town.task(task_id)
        assert (task.state, task.handed_back, task.attempt) == (State.QUEUED, 1, 1)
    hire().start()
    assert town.in_state(listening, State.RUNNING).attempt == 2


@pytest.mark.usefixtures("worker")
def test_the_worker_says_how_many_tasks_it_takes(town: Town) -> None:
    (worker,) = town.reader.live_workers()

    assert worker.slots == 2 + 100


@pytest.mark.usefixtures("worker")
def test_a_result_of_a_coroutine_is_stored(town: Town) -> None:
    task = town.ended(divide(town, 0))

    assert task.result is not None
    assert DivideResponse.FromString(task.result.data).quotient == 1
