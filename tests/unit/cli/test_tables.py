"""Words and numbers for people."""

from __future__ import annotations

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


def test_a_task_with_a_left_out_payload_says_so() -> None:
    task = task_pb2.Task(id="t", type="a.B/C", payload_unavailable=True)
    console = Console(width=200)
    with console.capture() as captured:
        console.print(tables.task_table(task, {}))
    assert "left out" in captured.get()
