"""Tasks run to their end in an embedded worker, over the real store."""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration

from taskwire.examples.v1.demo_tasks_pb2 import FlakyRequest, FlakyResponse, SleepRequest
from taskwire.examples.v1.image_tasks_pb2 import MakeThumbnailRequest
from taskwire.examples.v1.math_tasks_pb2 import DivideRequest, DivideResponse
from taskwire_core import recovery
from taskwire_core.failure import FailureKind
from taskwire_core.ids import to_text
from taskwire_core.lifecycle import State
from taskwire_core.options import RetryPolicy
from taskwire_core.recovery import Settlement
from taskwire_core.task import Payload
from taskwire_worker.embedded import EmbeddedWorker
from taskwire_worker.spool import Spool
from taskwire_worker.store_ledger import StoreWorkerBook
from tests.support.eventually import eventually
from tests.worker.conftest import Hire
from tests.worker.handlers import journal as read_journal
from tests.worker.town import ATTEMPT_TIMEOUT, Town

DIVIDE = "taskwire.examples.v1.MathTasks/Divide"
FLAKY = "taskwire.examples.v1.DemoTasks/Flaky"
SLEEP = "taskwire.examples.v1.DemoTasks/Sleep"
THUMBNAIL = "taskwire.examples.v1.ImageTasks/MakeThumbnail"


def divide(town: Town, seconds: float = 0) -> bytes:
    return town.submit(DIVIDE, DivideRequest(dividend=seconds), queue="math")


def sleep(town: Town, seconds: float, *, attempt_timeout: timedelta = ATTEMPT_TIMEOUT) -> bytes:
    duration = Duration()
    duration.FromTimedelta(timedelta(seconds=seconds))
    request = SleepRequest(duration=duration)
    return town.submit(SLEEP, request, queue="demo", attempt_timeout=attempt_timeout)


def isolated(town: Town, seconds: int) -> bytes:
    request = MakeThumbnailRequest(image=b"x", max_width=seconds)
    return town.submit(THUMBNAIL, request, queue="images")


@pytest.mark.usefixtures("worker")
def test_a_task_runs_and_its_result_is_stored(town: Town) -> None:
    task = town.ended(divide(town))

    assert task.state is State.SUCCEEDED
    assert task.result is not None
    assert DivideResponse.FromString(task.result.data).quotient > 0
    assert (task.attempt, task.version) == (1, 3)


@pytest.mark.usefixtures("worker")
def test_many_tasks_each_run_exactly_once(town: Town, journal: Path) -> None:
    ids = [divide(town) for _ in range(200)]

    for task_id in ids:
        assert town.ended(task_id).state is State.SUCCEEDED

    assert sorted(i for i, _, _ in read_journal(journal)) == sorted(map(to_text, ids))


@pytest.mark.usefixtures("worker")
def test_a_task_that_fails_at_first_is_retried(town: Town) -> None:
    task = town.ended(town.submit(FLAKY, FlakyRequest(failures=2), queue="demo"))

    assert task.state is State.SUCCEEDED
    assert task.result is not None
    assert FlakyResponse.FromString(task.result.data).attempts == 3


@pytest.mark.usefixtures("worker")
def test_a_task_may_ask_to_be_retried(town: Town) -> None:
    task = town.ended(town.submit(FLAKY, FlakyRequest(failures=60), queue="demo"))

    assert (task.state, task.attempt) == (State.SUCCEEDED, 2)


@pytest.mark.usefixtures("worker")
def test_a_task_whose_attempts_are_used_up_fails_with_the_last_error(town: Town) -> None:
    task = town.ended(town.submit(FLAKY, FlakyRequest(failures=50), queue="demo"))

    assert (task.state, task.attempt) == (State.FAILED, 5)
    assert task.failure is not None
    assert task.failure.message == "Not yet."


@pytest.mark.usefixtures("worker")
def test_a_cancel_stops_a_thread_that_listens(town: Town) -> None:
    task_id = divide(town, 60)
    town.in_state(task_id, State.RUNNING)

    town.cancel(task_id)

    assert town.ended(task_id).state is State.CANCELLED


@pytest.mark.usefixtures("worker")
def test_a_cancel_kills_a_process_that_does_not_listen(town: Town, journal: Path) -> None:
    task_id = isolated(town, 60)
    eventually(lambda: read_journal(journal), what="the handler has begun")

    town.cancel(task_id)

    assert town.ended(task_id).state is State.CANCELLED


@pytest.mark.usefixtures("worker")
def test_a_cancelled_task_that_waits_is_never_started(town: Town, journal: Path) -> None:
    busy = [divide(town, 60) for _ in range(2)]
    for task_id in busy:
        town.in_state(task_id, State.RUNNING)
    waiting = divide(town, 0)

    town.cancel(waiting)
    for task_id in busy:
        town.cancel(task_id)
        town.ended(task_id)
    town.ended(divide(town, 0))

    assert to_text(waiting) not in [i for i, _, _ in read_journal(journal)]


@pytest.mark.usefixtures("worker")
def test_a_process_is_killed_at_its_deadline_and_the_attempt_timed_out(town: Town) -> None:
    task = town.ended(
        town.submit(
            THUMBNAIL,
            MakeThumbnailRequest(image=b"x", max_width=60),
            queue="images",
            attempt_timeout=timedelta(seconds=0.5),
            retry=RetryPolicy(max_attempts=2, initial_backoff=timedelta(0)),
        )
    )

    assert (task.state, task.attempt) == (State.FAILED, 2)
    assert task.failure is not None
    assert task.failure.kind is FailureKind.TIMEOUT


@pytest.mark.usefixtures("worker")
def test_a_thread_that_ignores_its_deadline_times_out_when_it_returns(town: Town) -> None:
    task_id = sleep(town, 0.5, attempt_timeout=timedelta(seconds=0.2))

    eventually(lambda: town.task(task_id).attempt >= 2, what="another attempt")

    failure = town.task(task_id).attempts[0].failure
    assert failure is not None
    assert failure.kind is FailureKind.TIMEOUT
    town.cancel(task_id)
    town.ended(task_id)


@pytest.mark.usefixtures("worker")
def test_a_process_that_dies_three_times_alone_is_poison(town: Town, journal: Path) -> None:
    request = MakeThumbnailRequest(image=b"die")
    task = town.ended(town.submit(THUMBNAIL, request, queue="images"))

    assert (task.state, task.attempt) == (State.FAILED, 3)
    assert task.failure is not None
    assert task.failure.kind is FailureKind.POISON
    assert len(read_journal(journal)) == 3


@pytest.mark.usefixtures("worker")
def test_what_finds_no_thread_is_left_to_others_and_runs_later(town: Town, journal: Path) -> None:
    busy = [divide(town, 60) for _ in range(2)]
    for task_id in busy:
        town.in_state(task_id, State.RUNNING)
    late = divide(town)

    assert town.task(late).state is State.QUEUED
    town.cancel(busy[0])

    assert town.ended(late).attempt == 1
    town.cancel(busy[1])


def test_a_drain_lets_tasks_finish(town: Town, worker: EmbeddedWorker) -> None:
    task_id = divide(town, 0.5)
    town.in_state(task_id, State.RUNNING)

    worker.drain(10)

    assert town.task(task_id).state is State.SUCCEEDED


def test_a_drain_hands_back_what_does_not_finish(
    town: Town, worker: EmbeddedWorker, caplog: pytest.LogCaptureFixture
) -> None:
    listening = divide(town, 60)
    deaf = sleep(town, 8)
    for task_id in (listening, deaf):
        town.in_state(task_id, State.RUNNING)

    with caplog.at_level(logging.INFO):
        worker.drain(0.1)

    (said,) = [each for each in caplog.records if each.getMessage().startswith("tasks still run")]
    assert vars(said)["running"] == 2
    for task_id in (listening, deaf):
        task = town.task(task_id)
        assert (task.state, task.handed_back, task.attempt) == (State.QUEUED, 1, 1)


def test_a_drain_leaves_no_worker_behind(town: Town, worker: EmbeddedWorker) -> None:
    assert [each.id for each in town.reader.live_workers()] == [worker.worker_id]

    worker.drain(0)

    assert town.reader.live_workers() == []


def test_a_drain_can_be_hurried(town: Town, worker: EmbeddedWorker) -> None:
    town.in_state(divide(town, 60), State.RUNNING)
    began = time.monotonic()

    drain = threading.Thread(target=worker.drain, args=(60,))
    drain.start()
    worker.hurry()
    drain.join(15)

    assert time.monotonic() - began < 15
    assert not drain.is_alive()


def test_a_new_worker_takes_up_what_was_handed_back(
    town: Town, worker: EmbeddedWorker, hire: Hire
) -> None:
    task_id = isolated(town, 1)
    town.in_state(task_id, State.RUNNING)
    worker.drain(0)

    hire().start()

    task = town.ended(task_id)
    assert (task.state, task.attempt, task.handed_back) == (State.SUCCEEDED, 2, 1)


def test_a_spooled_result_is_written_by_the_next_boot(
    town: Town, hire: Hire, tmp_path: Path, worker: EmbeddedWorker
) -> None:
    task_id = divide(town, 60)
    running = town.in_state(task_id, State.RUNNING)
    result = Payload("taskwire.examples.v1.DivideResponse", b"")
    Spool(tmp_path / "spool").write("old", [recovery.succeeded(running, result)])

    assert hire().replay() == 1

    assert town.task(task_id).state is State.SUCCEEDED


@pytest.mark.parametrize("once", [False, True])
@pytest.mark.parametrize("judged", [StoreWorkerBook.retired, StoreWorkerBook.lost])
def test_a_spooled_result_is_written_before_its_worker_is_judged(
    town: Town,
    worker: EmbeddedWorker,
    tmp_path: Path,
    judged: Callable[[StoreWorkerBook, bytes], None],
    once: bool,
) -> None:
    task_id = town.submit(DIVIDE, DivideRequest(dividend=60), queue="math", at_most_once=once)
    running = town.in_state(task_id, State.RUNNING)
    result = Payload("taskwire.examples.v1.DivideResponse", b"")
    spool = Spool(tmp_path / "spool")
    spool.write("ended", [recovery.succeeded(running, result)])

    judged(StoreWorkerBook(town.writer, spool, ttl_us=None), worker.worker_id)

    assert town.task(task_id).state is State.SUCCEEDED


class ReadOnlySpool(Spool):
    def replay(self, settle: Callable[[Sequence[Settlement]], None]) -> int:
        raise OSError(errno.EROFS, "Read-only file system")


@pytest.mark.parametrize("judged", [StoreWorkerBook.retired, StoreWorkerBook.lost])
def test_a_worker_is_judged_although_its_spool_cannot_be_replayed(
    town: Town,
    worker: EmbeddedWorker,
    tmp_path: Path,
    judged: Callable[[StoreWorkerBook, bytes], None],
) -> None:
    task_id = divide(town, 60)
    town.in_state(task_id, State.RUNNING)

    judged(StoreWorkerBook(town.writer, ReadOnlySpool(tmp_path), ttl_us=None), worker.worker_id)

    task = town.task(task_id)
    assert (task.state, task.attempt) != (State.RUNNING, 1)
