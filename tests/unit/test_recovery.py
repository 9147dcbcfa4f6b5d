"""What becomes of a failed, lost or late attempt."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from taskwire_core.failure import Code, Failure, FailureKind
from taskwire_core.ids import new_id
from taskwire_core.lifecycle import Event, State
from taskwire_core.options import RetryPolicy, TaskOptions
from taskwire_core.recovery import failed, handed_back, lost, overran, waited_too_long
from taskwire_core.retry import backoff_us
from taskwire_core.task import Task

NOW = 1_700_000_000_000_000
SECOND = 1_000_000
RETRYABLE = Failure(FailureKind.APPLICATION, Code.UNAVAILABLE, "AWAY", "Away.", retryable=True)


def task(*, attempt: int = 1, handed_back: int = 0, **options: object) -> Task:
    return Task(
        id=new_id(),
        type="a.B/C",
        owner="dev",
        state=State.RUNNING,
        version=2,
        attempt=attempt,
        handed_back=handed_back,
        crashes=0,
        solo=False,
        dispatch=1,
        dispatched=True,
        options=replace(TaskOptions(queue="q"), **options),
        create_time_us=NOW,
        schedule_time_us=NOW,
        not_before_us=NOW,
        update_time_us=NOW,
    )


@pytest.mark.parametrize(
    ("failures", "chance", "seconds"),
    [(1, 0.5, 1.0), (2, 0.5, 2.0), (5, 0.5, 16.0), (50, 0.5, 300.0), (1000, 0.5, 300.0)],
)
def test_the_backoff_doubles_up_to_its_ceiling(
    failures: int, chance: float, seconds: float
) -> None:
    assert backoff_us(RetryPolicy(), failures=failures, chance=chance) == seconds * SECOND


def test_jitter_spreads_the_backoff_by_its_share() -> None:
    low, high = (backoff_us(RetryPolicy(), failures=1, chance=c) for c in (0.0, 1.0))
    assert (low, high) == (800_000, 1_200_000)


def test_a_retryable_failure_is_retried_after_the_backoff() -> None:
    settled = failed(task(), RETRYABLE, now_us=NOW)
    assert settled.target == State.RETRYING
    assert settled.event == Event.RETRYABLE_ERROR
    assert settled.not_before_us is not None
    assert 0.8 * SECOND <= settled.not_before_us - NOW <= 1.2 * SECOND


def test_the_handlers_own_delay_replaces_the_backoff() -> None:
    settled = failed(task(), RETRYABLE, now_us=NOW, delay_us=7 * SECOND)
    assert settled.not_before_us == NOW + 7 * SECOND


def test_a_final_failure_is_not_retried() -> None:
    settled = failed(task(), replace(RETRYABLE, retryable=False), now_us=NOW)
    assert settled.target == State.FAILED
    assert settled.event == Event.FINAL_ERROR


@pytest.mark.parametrize(
    ("attempt", "back", "target"),
    [(5, 0, State.FAILED), (5, 1, State.RETRYING), (6, 1, State.FAILED)],
)
def test_attempts_that_were_handed_back_are_free(attempt: int, back: int, target: State) -> None:
    settled = failed(task(attempt=attempt, handed_back=back), RETRYABLE, now_us=NOW)
    assert settled.target == target


def test_a_retry_that_would_come_after_the_total_time_out_is_not_made() -> None:
    late = replace(task(), total_deadline_us=NOW + SECOND // 2)
    settled = failed(late, RETRYABLE, now_us=NOW)
    assert settled.target == State.FAILED
    assert settled.failure == RETRYABLE


def test_a_task_that_is_at_most_once_is_never_retried() -> None:
    once = task(at_most_once=True, retry=RetryPolicy(max_attempts=5))
    assert failed(once, RETRYABLE, now_us=NOW).target == State.FAILED
    settled = lost(once, now_us=NOW, alone=False)
    assert settled.target == State.FAILED
    assert settled.failure is not None
    assert settled.failure.kind == FailureKind.WORKER_LOST


def test_a_neighbour_of_a_crash_runs_alone_next_and_counts_nothing() -> None:
    settled = lost(task(), now_us=NOW, alone=False)
    assert settled.solo
    assert settled.crashes == 0


def test_the_third_crash_alone_is_poison() -> None:
    alone = replace(task(), solo=True)
    first = lost(alone, now_us=NOW, alone=True)
    assert (first.crashes, first.target) == (1, State.RETRYING)
    third = lost(replace(alone, crashes=2), now_us=NOW, alone=True)
    assert third.target == State.FAILED
    assert third.failure is not None
    assert third.failure.kind == FailureKind.POISON


def test_an_attempt_past_its_deadline_says_which_time_out_it_was() -> None:
    attempt = overran(task(), now_us=NOW)
    assert attempt.target == State.RETRYING
    assert attempt.failure is not None
    assert attempt.failure.metadata == {"timeout": "attempt_timeout"}
    total = overran(replace(task(), total_deadline_us=NOW), now_us=NOW)
    assert total.target == State.FAILED
    assert total.failure is not None
    assert total.failure.metadata == {"timeout": "total_timeout"}


def test_a_task_that_waited_too_long_expires_only_if_it_never_began() -> None:
    assert waited_too_long(task(attempt=1), now_us=NOW) == (State.EXPIRED, None)
    begun = replace(task(attempt=1), start_time_us=NOW - 1)
    state, failure = waited_too_long(begun, now_us=NOW)
    assert state == State.FAILED
    assert failure is not None
    assert failure.kind == FailureKind.TIMEOUT


def test_handing_back_keeps_what_is_known_of_crashes() -> None:
    settled = handed_back(replace(task(), crashes=2, solo=True), "drain")
    assert (settled.target, settled.crashes, settled.solo) == (State.QUEUED, 2, True)


def test_no_backoff_is_negative() -> None:
    policy = RetryPolicy(initial_backoff=timedelta(0), jitter=1.0)
    assert backoff_us(policy, failures=1, chance=0.0) == 0
