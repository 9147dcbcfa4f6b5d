"""What an attempt comes to, row by row."""

from __future__ import annotations

import traceback
from datetime import timedelta

import pytest
from msgspec.structs import replace

from taskwire import Retry, errors
from taskwire.examples.v1.math_tasks_pb2 import DivideRequest
from taskwire_core.failure import TASKWIRE_DOMAIN, Code, Failure, FailureKind
from taskwire_core.lifecycle import Event, State, targets
from taskwire_core.options import RetryPolicy
from taskwire_core.recovery import Settlement
from taskwire_core.task import Payload, Task
from taskwire_db.codec import encode_failure
from taskwire_worker.outcome import (
    Died,
    Failed,
    Killed,
    NotBegun,
    Outcome,
    Returned,
    Stop,
    decide,
    failed_with,
)
from tests.unit.worker import fakes

SERVICE = "acme.v1.Things"
RESULT = Returned(Payload("acme.v1.Result", b"x"))
NO_JITTER = RetryPolicy(max_attempts=3, initial_backoff=timedelta(seconds=2), jitter=0)


def running(
    *, attempt: int = 1, handed_back: int = 0, crashes: int = 0, at_most_once: bool = False
) -> Task:
    task = fakes.queued_task(
        "acme.v1.Things/Do", DivideRequest(), retry=NO_JITTER, at_most_once=at_most_once
    )
    return replace(fakes.claimed(task), attempt=attempt, handed_back=handed_back, crashes=crashes)


def settle(
    outcome: Outcome, task: Task | None = None, *, stop: Stop | None = None, late_s: float = -1
) -> Settlement:
    """The settlement of `outcome`, decided `late_s` seconds after the run deadline."""
    task = task or running()
    assert task.run_deadline_us is not None
    now = task.run_deadline_us + round(late_s * 1e6)
    return decide(task, outcome, stop=stop, now_us=now)


def raised(error: BaseException) -> Failed:
    try:
        raise error
    except BaseException as caught:
        return failed_with(caught, service=SERVICE)


RETRIED = [
    errors.Unknown,
    errors.DeadlineExceeded,
    errors.ResourceExhausted,
    errors.Aborted,
    errors.Internal,
    errors.Unavailable,
]
FINAL = [
    errors.Cancelled,
    errors.InvalidArgument,
    errors.NotFound,
    errors.AlreadyExists,
    errors.PermissionDenied,
    errors.FailedPrecondition,
    errors.OutOfRange,
    errors.Unimplemented,
    errors.DataLoss,
    errors.Unauthenticated,
]


def state_after(outcome: Outcome, task: Task | None = None) -> State:
    settlement = settle(outcome, task)
    return settlement.target


@pytest.mark.parametrize("kind", RETRIED)
def test_errors_that_may_pass_are_retried(kind: type[errors.HandlerError]) -> None:
    assert state_after(raised(kind("Not now."))) is State.RETRYING


@pytest.mark.parametrize("kind", FINAL)
def test_errors_that_stay_fail_the_task_at_once(kind: type[errors.HandlerError]) -> None:
    assert state_after(raised(kind("Never."))) is State.FAILED


def test_every_canonical_code_has_one_class() -> None:
    classes = [*RETRIED, *FINAL]

    assert {Code(kind.code) for kind in classes} == set(Code) - {Code.OK}
    assert all(Code(kind.code).name == kind.code_name for kind in classes)


@pytest.mark.parametrize(
    ("final", "state"), [(True, State.FAILED), (False, State.RETRYING), (None, State.RETRYING)]
)
def test_final_prevails_over_the_code(final: bool | None, state: State) -> None:
    assert state_after(raised(errors.Unavailable("No.", final=final))) is state


def test_an_unexpected_exception_is_retried_and_its_text_is_not_shown() -> None:
    failure = raised(ValueError("password=hunter2")).failure

    assert failure.retryable
    assert (failure.code, failure.type) == (Code.UNKNOWN, "ValueError")
    assert "hunter2" not in failure.message
    assert "hunter2" not in str(failure.metadata)
    assert "hunter2" in failure.stack_trace


def test_an_exception_whose_text_cannot_be_made_is_recorded_all_the_same() -> None:
    class Nasty(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    assert raised(Nasty()).failure.type.endswith("Nasty")


def test_a_text_that_is_no_unicode_can_be_stored() -> None:
    deliberate = errors.NotFound("caf\udce9", metadata={"a\udce9": "b\udce9"})

    for failure in (raised(ValueError("caf\udce9")).failure, raised(deliberate).failure):
        assert encode_failure(failure)
        assert r"caf\udce9" in failure.stack_trace


class Unheard(errors.HandlerError):
    code = 99


class Unpunctual(errors.Unavailable):
    def __init__(self) -> None:
        super().__init__("No.")
        self.retry_delay = 5  # type: ignore[assignment]  # wrong on purpose


@pytest.mark.parametrize("error", [Unheard("No."), Unpunctual()])
def test_an_error_class_that_makes_no_sense_is_an_unexpected_exception(
    error: errors.HandlerError,
) -> None:
    assert raised(error).failure.reason == "UNEXPECTED_EXCEPTION"


@pytest.mark.parametrize("given", [ValueError("inner"), None, 5, b"bytes"])
def test_a_message_may_be_any_object(given: object) -> None:
    error = errors.NotFound(given, reason=given)  # type: ignore[arg-type]  # wrong on purpose
    assert raised(error).failure.message == str(given)


def test_a_delay_beyond_all_times_is_shortened() -> None:
    settlement = settle(raised(errors.Unavailable("Later.", retry_delay=timedelta.max)))

    assert settlement.not_before_us is not None
    assert settlement.not_before_us < 2**63


def test_an_error_raised_on_purpose_is_shown_with_reason_metadata_and_domain() -> None:
    failure = raised(
        errors.NotFound("No such picture.", reason="NO_PICTURE", metadata={"name": "a.png"})
    ).failure

    assert (failure.code, failure.reason) == (Code.NOT_FOUND, "NO_PICTURE")
    assert (failure.domain, failure.metadata) == (SERVICE, {"name": "a.png"})
    assert failure.message == "No such picture."
    assert failure.type == "taskwire.errors.NotFound"


@pytest.mark.parametrize(
    ("given", "kept"),
    [("", "NOT_FOUND"), ("no picture!", "NO_PICTURE"), ("X" * 100, "X" * 63), ("---", "NOT_FOUND")],
)
def test_a_reason_always_has_the_form_of_a_reason(given: str, kept: str) -> None:
    assert raised(errors.NotFound("No.", reason=given)).failure.reason == kept


def test_long_texts_are_shortened() -> None:
    failure = raised(errors.Internal("m" * 100_000, metadata={"k": "v" * 100_000})).failure

    assert len(failure.message) <= 2048
    assert len(failure.metadata["k"]) <= 256


def test_a_deep_stack_trace_keeps_both_ends() -> None:
    def dig(depth: int) -> None:
        if depth == 0:
            raise ValueError("x" * 30_000 + "bottom")
        dig(depth - 1)

    try:
        dig(50)
    except ValueError as error:
        whole = "".join(traceback.format_exception(error))
        kept = failed_with(error, service=SERVICE).failure.stack_trace

    assert len(kept) < len(whole)
    assert kept.startswith("Traceback")
    assert kept.rstrip().endswith("bottom")


@pytest.mark.parametrize("delay", [7, 7.0, timedelta(seconds=7)])
def test_retry_waits_as_long_as_it_says(delay: float | timedelta) -> None:
    task = running()
    settlement = decide(task, raised(Retry(delay=delay)), stop=None, now_us=task.update_time_us)

    assert settlement.target is State.RETRYING
    assert settlement.not_before_us == task.update_time_us + 7_000_000


def test_without_a_delay_the_policy_decides() -> None:
    task = running(attempt=2)
    settlement = decide(task, raised(Retry()), stop=None, now_us=task.update_time_us)

    assert settlement.not_before_us == task.update_time_us + 4_000_000


def test_a_negative_delay_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        Retry(delay=-1)


def test_the_last_attempt_is_not_retried() -> None:
    assert state_after(raised(errors.Unavailable()), running(attempt=3)) is State.FAILED


def test_handed_back_attempts_cost_nothing() -> None:
    task = running(attempt=3, handed_back=1)

    assert state_after(raised(errors.Unavailable()), task) is State.RETRYING


def test_a_retry_after_the_total_timeout_is_not_made() -> None:
    task = running()
    task = replace(task, total_deadline_us=task.update_time_us + 1_000_000)
    settlement = decide(task, raised(errors.Unavailable()), stop=None, now_us=task.update_time_us)

    assert settlement.target is State.FAILED
    assert settlement.failure is not None
    assert settlement.failure.code is Code.UNAVAILABLE


def test_at_most_once_is_never_retried() -> None:
    task = running(at_most_once=True)

    assert state_after(raised(errors.Unavailable(final=False)), task) is State.FAILED


def test_a_result_is_a_success() -> None:
    settlement = settle(RESULT)

    assert (settlement.event, settlement.result) == (Event.SUCCESS, RESULT.result)


@pytest.mark.parametrize(
    "outcome", [RESULT, raised(errors.NotFound()), Died(), Killed(), NotBegun()]
)
def test_after_the_deadline_everything_is_a_timeout(outcome: Outcome) -> None:
    settlement = settle(outcome, late_s=0.1)

    assert settlement.event is Event.TIMED_OUT
    assert settlement.failure is not None
    assert settlement.failure.kind is FailureKind.TIMEOUT


def test_a_kill_before_the_wall_clock_agrees_is_a_timeout_too() -> None:
    settlement = settle(Killed())

    assert settlement.event is Event.TIMED_OUT


@pytest.mark.parametrize(
    "outcome", [raised(errors.Cancelled()), raised(KeyError()), Killed(), NotBegun(), Died()]
)
def test_whatever_a_cancelled_attempt_ends_with_it_is_not_retried(outcome: Outcome) -> None:
    settlement = settle(outcome, stop=Stop.CANCEL)

    assert settlement.event is Event.FINAL_ERROR
    assert targets(State.CANCELLING, settlement.event) == {State.CANCELLED}


@pytest.mark.parametrize("stop", list(Stop))
def test_a_result_counts_although_the_attempt_was_told_to_stop(stop: Stop) -> None:
    settlement = settle(RESULT, stop=stop)

    assert settlement.target is State.SUCCEEDED


@pytest.mark.parametrize("stop", [Stop.DRAIN, Stop.LEASE])
def test_an_attempt_that_the_worker_must_give_up_is_handed_back(stop: Stop) -> None:
    settlement = settle(raised(errors.Cancelled()), stop=stop)

    assert settlement.event is Event.HANDED_BACK
    assert not settlement.never_began


@pytest.mark.parametrize("stop", [Stop.DRAIN, Stop.LEASE])
def test_a_begun_at_most_once_task_that_the_worker_must_give_up_is_lost(stop: Stop) -> None:
    settlement = settle(raised(errors.Cancelled()), running(at_most_once=True), stop=stop)

    assert settlement.target is State.FAILED
    assert settlement.failure is not None
    assert settlement.failure.kind is FailureKind.WORKER_LOST


@pytest.mark.parametrize("stop", [Stop.DRAIN, Stop.LEASE])
def test_an_at_most_once_task_whose_handler_was_not_called_yet_is_handed_back(stop: Stop) -> None:
    settlement = settle(NotBegun(), running(at_most_once=True), stop=stop)

    assert settlement.event is Event.HANDED_BACK
    assert settlement.never_began


def test_a_death_alone_counts_and_the_third_is_poison() -> None:
    once = settle(Died(), running(crashes=0))
    thrice = settle(Died(), running(crashes=2))

    assert (once.target, once.crashes, once.solo) == (State.RETRYING, 1, True)
    assert thrice.target is State.FAILED
    assert thrice.failure is not None
    assert thrice.failure.kind is FailureKind.POISON


def test_a_failure_carries_what_the_contract_promises_about_taskwires_own() -> None:
    failure = raised(KeyError("x")).failure

    assert isinstance(failure, Failure)
    assert failure.domain == TASKWIRE_DOMAIN
