"""Words and numbers for people."""

from __future__ import annotations

import re

import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2
from rich.console import Console

from taskwire.v1 import task_pb2, task_service_pb2
from taskwire_cli import tables


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (task_pb2.Progress(fraction=0.456), "46 %"),
        (task_pb2.Progress(fraction=0.5, completed_units=5, total_units=10), "50 %  5 of 10"),
        (task_pb2.Progress(completed_units=5, message="reading"), "0 %  5  reading"),
        (
            task_pb2.Progress(fraction=1, completed_units=4_194_304, total_units=4_194_304),
            "100 %  4,194,304 of 4,194,304",
        ),
        (task_pb2.Progress(message="a\nb\x1b[2J"), "0 %  a b [2J"),
    ],
)
def test_progress(progress: task_pb2.Progress, text: str) -> None:
    assert tables.progress_text(progress) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (1.5, "1.5 s"), (60, "1 min"), (5400, "1.5 h"), (604800, "7 d")],
)
def test_durations(seconds: float, text: str) -> None:
    duration = Duration()
    duration.FromNanoseconds(int(seconds * 1e9))
    assert tables.duration_text(duration) == text


def test_every_state_has_a_name_and_a_new_one_its_number() -> None:
    for state in task_pb2.TaskState.values():
        assert tables.state_name(state).isupper()
    assert tables.state_name(99) == "99"  # type: ignore[arg-type]  # of a newer server


def test_every_pending_reason_has_its_words() -> None:
    silent = [
        task_pb2.PendingReason.Name(reason)
        for reason in task_pb2.PendingReason.values()
        if not tables.pending_text(reason)
    ]
    assert silent == ["PENDING_REASON_UNSPECIFIED"]


def test_the_first_sentence_of_a_comment() -> None:
    assert tables.first_sentence("Says\n hello. Loudly.") == "Says hello"
    assert tables.first_sentence("") == ""


def test_long_texts_are_cut_wherever_they_are() -> None:
    cut = tables.shortened({"a": ["x" * 1000, "short"], "n": 1})
    assert cut == {"a": ["x" * 40 + "… (1,000 characters)", "short"], "n": 1}


def test_an_error_has_its_code_and_reason() -> None:
    error = task_pb2.TaskError()
    error.status.code = 3
    error.status.message = "The divisor must not be 0."
    packed = Any()
    packed.Pack(error_details_pb2.ErrorInfo(reason="DIVISION_BY_ZERO"))
    error.status.details.append(packed)
    text = "INVALID_ARGUMENT DIVISION_BY_ZERO: The divisor must not be 0."
    assert tables.error_text(error) == text


def test_an_error_without_details_has_its_code() -> None:
    error = task_pb2.TaskError()
    error.status.code = 99
    assert tables.error_text(error) == "99: "


def test_a_type_in_the_table_keeps_its_whole_name_on_a_narrow_terminal() -> None:
    name = "acme.a.very.long.packages.name.v1.AndALongServiceOfTasks/MakeSomethingThatIsLong"
    console = Console(width=60)
    with console.capture() as captured:
        tables.show(tables.types_table([task_service_pb2.TaskType(name=name)]), console)
    assert name in captured.get()


def shown(task: task_pb2.Task) -> dict[str, str]:
    """What people see of the task, by the names of the lines."""
    console = Console(width=200)
    with console.capture() as captured:
        console.print(tables.task_table(task, {}))
    lines = (re.split("  +", line.strip(), maxsplit=1) for line in captured.get().splitlines())
    return {line[0]: line[1] for line in lines}


def test_a_task_with_a_left_out_payload_says_so() -> None:
    task = task_pb2.Task(id="t", type="a.B/C", payload_unavailable=True)
    assert "left out" in shown(task)["payload"]


def test_a_task_that_retries_says_where_and_why() -> None:
    task = task_pb2.Task(id="t", type="a.B/C", state=task_pb2.TASK_STATE_RETRYING, attempt=2)
    task.options.queue = "mails"
    task.retry_of = "old"
    for message in ("first", "second"):
        error = task.attempts.add(worker_id="w").error
        error.status.code, error.status.message = 14, message
    assert shown(task)["queue"] == "mails"
    assert shown(task)["retry of"] == "old"
    assert shown(task)["last error"] == "UNAVAILABLE: second"
    task.state = task_pb2.TASK_STATE_SUCCEEDED
    assert "last error" not in shown(task)


def test_a_running_task_says_how_far_and_by_whom() -> None:
    task = task_pb2.Task(
        id="t", type="a.B/C", state=task_pb2.TASK_STATE_RUNNING, attempt=1, worker_id="w"
    )
    task.progress.fraction = 0.5
    assert shown(task)["progress"] == "50 %"
    assert shown(task)["worker"] == "w"


@pytest.mark.parametrize(
    ("state", "label"),
    [
        (task_pb2.TASK_STATE_CANCELLED, "cancelled"),
        (task_pb2.TASK_STATE_CANCELLING, "cancel asked"),
        (task_pb2.TASK_STATE_SUCCEEDED, "cancel asked"),
    ],
)
def test_a_cancel_is_no_end_of_its_own(state: task_pb2.TaskState.ValueType, label: str) -> None:
    task = task_pb2.Task(id="t", type="a.B/C", state=state, cancel_requested=True)
    assert shown(task)[label] == "on request"


def test_a_task_that_ran_before_its_time_still_has_the_time() -> None:
    task = task_pb2.Task(id="t", type="a.B/C", state=task_pb2.TASK_STATE_RUNNING)
    task.create_time.FromSeconds(0)
    task.start_time.FromSeconds(1)
    task.schedule_time.FromSeconds(3600)
    assert shown(task)["scheduled for"] == tables.time_text(task.schedule_time)
    task.schedule_time.FromMilliseconds(2)
    assert "scheduled for" not in shown(task)


@pytest.mark.parametrize(
    ("state", "task_id", "text"),
    [
        (task_pb2.TASK_STATE_RUNNING, "", "on failure: a.B/C"),
        (task_pb2.TASK_STATE_FAILED, "f", "on failure: a.B/C  f"),
        (
            task_pb2.TASK_STATE_CANCELLED,
            "",
            "on failure: a.B/C  (not begun: the task is CANCELLED)",
        ),
    ],
)
def test_a_follow_up_that_never_begins_says_so(
    state: task_pb2.TaskState.ValueType, task_id: str, text: str
) -> None:
    task = task_pb2.Task(id="t", type="a.B/C", state=state)
    on_failure = task_pb2.FOLLOW_UP_CONDITION_ON_FAILURE
    task.follow_ups.add(condition=on_failure, type="a.B/C", task_id=task_id)
    assert shown(task)["follow-up"] == text
