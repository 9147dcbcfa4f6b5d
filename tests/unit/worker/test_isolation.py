"""Handlers in processes of their own: killed, cancelled, crashed, and none of it contagious."""

from __future__ import annotations

import dataclasses
import errno
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import timedelta

import msgspec
import pytest
from google.protobuf.message import Message

from taskwire import ProgressReport, errors
from taskwire.examples.v1.demo_tasks_pb2 import FlakyRequest, FlakyResponse
from taskwire.examples.v1.image_tasks_pb2 import MakeThumbnailRequest
from taskwire.examples.v1.math_tasks_pb2 import DivideRequest, DivideResponse
from taskwire.submission import SubmitTaskRequest
from taskwire_core.failpoints import Action, Failpoint
from taskwire_core.failure import Code, FailureKind
from taskwire_worker.held import HeldTask
from taskwire_worker.isolation import ChildSetup, IsolationPool
from taskwire_worker.isolation import pool as pool_module
from taskwire_worker.outcome import Died, Failed, Killed, NotBegun, Outcome, Returned, Stop
from taskwire_worker.run import Services
from taskwire_worker.spawn import Child
from tests.support.eventually import eventually
from tests.support.processes import gone
from tests.unit.worker import fakes, isolated_handlers
from tests.unit.worker.isolated_handlers import (
    DIE,
    EXIT,
    HANG,
    LEAVE,
    NOISE,
    OBEY,
    RAISE,
    SUBMIT,
    WORK,
)

DIVIDE = "taskwire.examples.v1.MathTasks/Divide"
FLAKY = "taskwire.examples.v1.DemoTasks/Flaky"
SETUP = ChildSetup(modules=(isolated_handlers.__name__,), examples=True)


@pytest.fixture(scope="module")
def pool() -> Iterator[IsolationPool]:
    # Whoever heeds a cancel has plenty of time for it, on a busy machine too.
    made = IsolationPool(SETUP, warm=1, cancel_grace_s=10, max_result_bytes=1024 * 1024)
    yield made
    made.close()


def flaky(what: int, *, attempt_timeout: timedelta = timedelta(minutes=1)) -> HeldTask:
    request = FlakyRequest(failures=what)
    return fakes.held(fakes.queued_task(FLAKY, request, attempt_timeout=attempt_timeout))


def told(report: Callable[[ProgressReport], None]) -> Services:
    """Progress is told to `report`; nothing can be submitted."""

    def submit(request: SubmitTaskRequest) -> Future[str]:
        raise AssertionError(f"nothing should be submitted here, and {request.type} was")

    return Services(report, submit)


IGNORED = told(lambda report: None)


def start(
    pool: IsolationPool, held: HeldTask, services: Services = IGNORED
) -> tuple[threading.Thread, list[Outcome]]:
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(pool.run(held, services)), daemon=True)
    thread.start()
    return thread, outcomes


def result(outcome: Outcome, message: Message) -> None:
    assert isinstance(outcome, Returned), outcome
    message.ParseFromString(outcome.result.data)


def pid_of_work(pool: IsolationPool) -> int:
    answer = FlakyResponse()
    result(pool.run(flaky(WORK), IGNORED), answer)
    return answer.attempts


def test_a_result_comes_back_from_another_process(pool: IsolationPool) -> None:
    assert pid_of_work(pool) != os.getpid()


def test_a_child_is_used_again(pool: IsolationPool) -> None:
    assert pid_of_work(pool) == pid_of_work(pool)


def test_the_successor_of_a_child_that_died_at_one_hit_of_a_failpoint_lives() -> None:
    armed = dataclasses.replace(SETUP, failpoints=(Failpoint("run.isolated_ended", Action.KILL),))
    pool = IsolationPool(armed, warm=0, cancel_grace_s=0.3, max_result_bytes=1024 * 1024)
    try:
        assert pool.run(flaky(WORK), IGNORED) == Died()
        assert pid_of_work(pool) > 0
    finally:
        pool.close()


def test_a_child_that_dies_takes_only_its_own_attempt_along(pool: IsolationPool) -> None:
    assert pool.run(flaky(DIE), IGNORED) == Died()
    assert pid_of_work(pool) > 0


def test_a_death_is_noticed_although_a_forked_process_holds_the_pipe(pool: IsolationPool) -> None:
    begun = time.monotonic()
    reports: list[ProgressReport] = []

    assert pool.run(flaky(LEAVE), told(reports.append)) == Died()
    assert time.monotonic() - begun < 30
    left = int(reports[0].message)
    assert eventually(lambda: gone(left))


def test_an_attempt_that_cannot_be_followed_leaves_no_child_behind(pool: IsolationPool) -> None:
    pid = pid_of_work(pool)

    def broken(_report: ProgressReport) -> None:
        raise RuntimeError("nobody can be told")

    with pytest.raises(RuntimeError):
        pool.run(flaky(OBEY), told(broken))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_handler_is_not_called_when_it_is_to_stop_before_its_process_is_there(
    pool: IsolationPool,
) -> None:
    pid = pid_of_work(pool)
    held = flaky(DIE)
    held.tell_to_stop(Stop.DRAIN)

    assert pool.run(held, IGNORED) == NotBegun()
    assert pid_of_work(pool) == pid


def test_a_handler_that_never_returns_is_killed_at_its_deadline(pool: IsolationPool) -> None:
    thread, outcomes = start(pool, flaky(HANG, attempt_timeout=timedelta(seconds=0.4)))

    thread.join(10)

    assert outcomes == [Killed()]


def test_a_handler_that_ignores_a_cancel_is_killed_after_the_grace() -> None:
    pool = IsolationPool(SETUP, warm=0, cancel_grace_s=0.3, max_result_bytes=1024 * 1024)
    held = flaky(HANG)
    reports: list[ProgressReport] = []
    try:
        thread, outcomes = start(pool, held, told(reports.append))
        eventually(lambda: reports, what="the handler has begun")

        held.tell_to_stop(Stop.CANCEL)
        thread.join(10)

        assert outcomes == [Killed()]
    finally:
        pool.close()


def test_a_handler_that_heeds_a_cancel_is_not_killed(pool: IsolationPool) -> None:
    before = pid_of_work(pool)
    held = flaky(OBEY)
    reports: list[ProgressReport] = []
    thread, outcomes = start(pool, held, told(reports.append))
    eventually(lambda: reports, what="the handler has begun")

    held.tell_to_stop(Stop.CANCEL)
    thread.join(10)

    assert isinstance(outcomes[0], Failed)
    assert outcomes[0].failure.code.name == "CANCELLED"
    assert pid_of_work(pool) == before


def test_progress_travels_through_the_pipe(pool: IsolationPool) -> None:
    reports: list[ProgressReport] = []
    held = flaky(OBEY)
    thread, _ = start(pool, held, told(reports.append))
    eventually(lambda: reports, what="the handler has reported")

    held.tell_to_stop(Stop.CANCEL)
    thread.join(10)

    assert reports == [ProgressReport(0.5, 0, 0, "waiting")]


def test_what_a_handler_prints_does_not_disturb_its_result(pool: IsolationPool) -> None:
    assert isinstance(pool.run(flaky(NOISE), IGNORED), Returned)


def test_an_error_keeps_its_code_and_its_reason(pool: IsolationPool) -> None:
    outcome = pool.run(flaky(RAISE), IGNORED)

    assert isinstance(outcome, Failed)
    failure = outcome.failure
    assert (failure.code.name, failure.reason) == ("NOT_FOUND", "GONE")
    assert failure.metadata == {"name": "x"}
    assert not failure.retryable


def test_sys_exit_is_an_exception_like_any_other(pool: IsolationPool) -> None:
    outcome = pool.run(flaky(EXIT), IGNORED)

    assert isinstance(outcome, Failed)
    assert outcome.failure.type == "SystemExit"


@pytest.mark.parametrize(("kibibytes", "fits"), [(900, True), (1100, False)])
def test_a_huge_result_is_refused_in_the_child(
    pool: IsolationPool, kibibytes: int, fits: bool
) -> None:
    request = MakeThumbnailRequest(max_width=kibibytes)
    task = fakes.queued_task("taskwire.examples.v1.ImageTasks/MakeThumbnail", request)

    outcome = pool.run(fakes.held(task), IGNORED)

    assert isinstance(outcome, Returned) is fits
    if isinstance(outcome, Failed):
        assert outcome.failure.kind is FailureKind.BAD_RESULT


def test_a_child_that_was_killed_while_idle_costs_nobody_an_attempt(pool: IsolationPool) -> None:
    pid = pid_of_work(pool)

    os.kill(pid, signal.SIGKILL)
    eventually(lambda: gone(pid), what="the child is gone")

    assert pid_of_work(pool) != pid


def test_a_stopped_child_is_killed_at_its_deadline(pool: IsolationPool) -> None:
    pid = pid_of_work(pool)
    os.kill(pid, signal.SIGSTOP)
    held = flaky(WORK, attempt_timeout=timedelta(seconds=0.3))
    began = time.monotonic()

    assert pool.run(held, IGNORED) == Killed()
    assert time.monotonic() - began < 30


def test_a_module_that_cannot_be_loaded_fails_the_attempt_and_may_be_retried() -> None:
    broken = IsolationPool(
        ChildSetup(modules=("no.such.module",), examples=True),
        warm=0,
        cancel_grace_s=0.1,
        max_result_bytes=1,
    )

    outcome = broken.run(flaky(WORK), IGNORED)
    broken.close()

    assert isinstance(outcome, Failed)
    assert outcome.failure.kind is FailureKind.WORKER_LOST
    assert outcome.failure.retryable


def test_a_host_without_room_for_a_child_costs_one_attempt_and_not_the_pool(
    pool: IsolationPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(module: str) -> Child:
        raise OSError(errno.EMFILE, "too many open files")

    # The child that waits for work is used up first.
    assert pool.run(flaky(DIE), IGNORED) == Died()
    with monkeypatch.context() as patched:
        patched.setattr(pool_module, "spawn", no_room)
        outcome = pool.run(flaky(WORK), IGNORED)
    assert isinstance(outcome, Failed)
    assert outcome.failure.kind is FailureKind.WORKER_LOST
    assert pid_of_work(pool) > 0


def test_a_host_without_room_for_a_thread_costs_one_attempt_and_not_the_pool(
    pool: IsolationPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    # The child that waits for work is used up first.
    assert pool.run(flaky(DIE), IGNORED) == Died()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_room)
        outcome = pool.run(flaky(WORK), IGNORED)
    assert isinstance(outcome, Failed)
    assert outcome.failure.kind is FailureKind.WORKER_LOST
    assert pid_of_work(pool) > 0


def test_a_child_whose_answer_cannot_be_read_costs_one_attempt_and_not_the_pool(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unreadable(child: Child, setup: ChildSetup) -> str | None:
        raise ValueError("not what was expected")

    pool = IsolationPool(SETUP, warm=0, cancel_grace_s=0.3, max_result_bytes=1024 * 1024)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(pool_module, "_greet", unreadable)
            assert isinstance(pool.run(flaky(WORK), IGNORED), Failed)
        assert pid_of_work(pool) > 0
    finally:
        pool.close()


def test_a_handler_in_a_process_submits_through_its_worker(pool: IsolationPool) -> None:
    reports: list[ProgressReport] = []
    asked: list[SubmitTaskRequest] = []

    def submit(request: SubmitTaskRequest) -> Future[str]:
        asked.append(request)
        answer: Future[str] = Future()
        # Another thread answers, as the store's writer does.
        threading.Timer(0, answer.set_result, [f"id{request.request_id}"]).start()
        return answer

    held = flaky(SUBMIT)
    held.task = msgspec.structs.replace(held.task, parent=bytes(16))

    assert isinstance(pool.run(held, Services(reports.append, submit)), Returned)
    assert [request.request_id for request in asked] == ["0", "1", "2"]
    assert asked[1].input.value == DivideRequest(dividend=1).SerializeToString()
    assert reports[0].message == "00000000-0000-0000-0000-000000000000 made id0 id1 id2"


def test_a_refused_submission_is_an_error_in_the_process(pool: IsolationPool) -> None:
    def refuse(_request: SubmitTaskRequest) -> Future[str]:
        answer: Future[str] = Future()
        answer.set_exception(
            errors.InvalidArgument("No.", reason="FIELD_VIOLATION", metadata={"input.x": "bad"})
        )
        return answer

    outcome = pool.run(flaky(SUBMIT), Services(lambda report: None, refuse))

    assert isinstance(outcome, Failed)
    failure = outcome.failure
    assert (failure.code, failure.reason, failure.message) == (
        Code.INVALID_ARGUMENT,
        "FIELD_VIOLATION",
        "No.",
    )
    assert failure.metadata == {"input.x": "bad"}


def test_a_process_that_dies_while_it_submits_is_dead(pool: IsolationPool) -> None:
    def submit(_request: SubmitTaskRequest) -> Future[str]:
        os.kill(pid, signal.SIGKILL)
        return Future()

    pid = pid_of_work(pool)

    assert pool.run(flaky(SUBMIT), Services(lambda report: None, submit)) == Died()


def patient(seconds: float) -> HeldTask:
    return fakes.held(fakes.queued_task(DIVIDE, DivideRequest(dividend=seconds)))


def test_coroutines_in_a_process_of_their_own_share_its_event_loop(pool: IsolationPool) -> None:
    first, second = DivideResponse(), DivideResponse()

    result(pool.run(patient(0), IGNORED), first)
    result(pool.run(patient(0), IGNORED), second)

    assert first == second


def test_a_cancelled_coroutine_in_a_process_cleans_up(pool: IsolationPool) -> None:
    held = patient(60)
    reports: list[str] = []

    def stop_when_it_waits(report: ProgressReport) -> None:
        reports.append(report.message)
        if report.message == "waiting":
            held.tell_to_stop(Stop.CANCEL)

    assert pool.run(held, told(stop_when_it_waits)) == Killed()
    assert reports == ["waiting", "cleaned up"]
    assert isinstance(pool.run(patient(0), IGNORED), Returned), "the child is used again"
