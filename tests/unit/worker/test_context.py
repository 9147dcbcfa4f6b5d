"""The context of a handler, as its author sees it."""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from taskwire import ProgressReport, TaskContext
from taskwire.errors import Cancelled
from taskwire.examples.v1.math_tasks_pb2 import DivideRequest


def test_progress_is_remembered_for_the_test() -> None:
    context = TaskContext.for_test()

    context.progress(fraction=0.5, message="half")

    assert context.progress_reports == [ProgressReport(0.5, 0, 0, "half")]


def test_units_give_the_fraction() -> None:
    context = TaskContext.for_test()

    context.progress(completed=3, total=4)

    assert context.progress_reports[0].fraction == 0.75


@pytest.mark.parametrize(
    "wrong",
    [
        {"fraction": 1.5},
        {"fraction": -0.1},
        {"fraction": float("nan")},
        {"completed": -1},
        {"completed": 2**63},
        {"total": 2**70},
    ],
)
def test_impossible_progress_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        TaskContext.for_test().progress(**wrong)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("said", ["caf\udce9", 5, ValueError("no"), None])
def test_whatever_progress_says_can_be_sent(said: object) -> None:
    context = TaskContext.for_test()

    context.progress(message=said)  # type: ignore[arg-type]  # wrong on purpose

    assert context.progress_reports[0].message.encode()


def test_a_submission_whose_time_has_no_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="schedule_time needs a time zone"):
        TaskContext.for_test().submit(
            DivideRequest(),
            schedule_time=datetime(2030, 1, 1),  # noqa: DTZ001  # naive on purpose
        )


def test_a_cancel_is_seen_and_raised() -> None:
    context = TaskContext.for_test()
    assert not context.cancelled
    context.raise_if_cancelled()

    context.cancel()

    assert context.cancelled
    with pytest.raises(Cancelled):
        context.raise_if_cancelled()


def test_a_cancel_ends_the_wait_for_it() -> None:
    context = TaskContext.for_test()
    threading.Thread(target=context.cancel).start()

    assert context.wait_cancelled(timeout=10)


def test_a_wait_without_a_cancel_ends_in_time() -> None:
    assert not TaskContext.for_test().wait_cancelled(timeout=timedelta(milliseconds=5))


async def test_a_coroutine_is_told_not_to_block_its_loop() -> None:
    with pytest.raises(RuntimeError, match=r"await asyncio\.sleep"):
        TaskContext.for_test().wait_cancelled(1)


def test_the_deadline_cancels() -> None:
    context = TaskContext.for_test(time_remaining=timedelta(milliseconds=20))

    assert context.wait_cancelled()
    assert context.time_remaining == timedelta(0)


def test_the_deadline_is_aware_and_the_remaining_time_is_a_duration() -> None:
    context = TaskContext.for_test(time_remaining=timedelta(minutes=1))

    assert context.deadline is not None
    assert context.deadline > datetime.now(UTC)
    assert context.time_remaining is not None
    assert timedelta(seconds=55) < context.time_remaining <= timedelta(minutes=1)


def test_a_wrong_wall_clock_does_not_end_a_handler() -> None:
    context = TaskContext(
        id="x",
        type="a/b",
        attempt=1,
        deadline=datetime(2020, 1, 1, tzinfo=UTC),
        ends_at=time.monotonic() + 60,
    )

    assert not context.cancelled


def test_without_a_deadline_there_is_no_end() -> None:
    context = TaskContext.for_test()

    assert (context.deadline, context.time_remaining) == (None, None)


def test_the_token_is_the_same_in_every_attempt() -> None:
    first = TaskContext.for_test(attempt=1)
    second = TaskContext.for_test(attempt=2)

    assert first.idempotency_token == second.idempotency_token


def test_the_logger_names_the_task(caplog: pytest.LogCaptureFixture) -> None:
    context = TaskContext.for_test(id="abc", attempt=2)

    with caplog.at_level(logging.INFO):
        context.logger.info("hello", extra={"size": 3})

    record = caplog.records[0]
    assert (record.__dict__["task_id"], record.__dict__["attempt"]) == ("abc", 2)
    assert record.__dict__["size"] == 3
