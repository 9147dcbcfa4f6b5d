"""`taskwire submit` against a real server."""

from __future__ import annotations

import io
import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image

from taskwire_cli.exits import Exit, Stop
from tests.cli.conftest import DIVIDE, FLAKY, SLEEP, THUMBNAIL, Taskwire


def test_a_task_is_waited_for_and_shown_to_people(taskwire: Taskwire) -> None:
    answer = taskwire("submit", DIVIDE, '{"dividend": 84, "divisor": 2}', "--wait")
    assert answer.code == 0
    assert "SUCCEEDED" in answer.out
    assert '{"quotient": 42.0}' in answer.out


def test_programs_get_the_task_as_json(taskwire: Taskwire) -> None:
    answer = taskwire("submit", DIVIDE, '{"dividend": 84, "divisor": 2}', "--wait", "--json")
    assert answer.json["state"] == "TASK_STATE_SUCCEEDED"
    assert answer.json["result"]["quotient"] == 42
    assert answer.json["result"]["@type"].endswith("/taskwire.examples.v1.DivideResponse")


def test_a_failed_task_is_exit_code_1_and_says_why(taskwire: Taskwire) -> None:
    answer = taskwire("submit", DIVIDE, '{"dividend": 1}', "--wait")
    assert answer.code == 1
    assert "FAILED" in answer.out
    assert "INVALID_ARGUMENT DIVISION_BY_ZERO: " in answer.out


def test_error_details_are_spelled_out_in_json(taskwire: Taskwire) -> None:
    answer = taskwire("submit", DIVIDE, '{"dividend": 1}', "--wait", "--json")
    (detail,) = answer.json["error"]["status"]["details"]
    assert detail["reason"] == "DIVISION_BY_ZERO"


def test_a_thumbnail_of_a_real_picture_is_written_to_disk(
    taskwire: Taskwire, picture: Path, tmp_path: Path
) -> None:
    small = tmp_path / "small.jpg"
    files = ("--field-file", f"image=@{picture}", "--output", f"image={small}")
    answer = taskwire("submit", THUMBNAIL, '{"maxWidth": 128, "maxHeight": 128}', *files)
    assert answer.code == 0, answer.err
    with Image.open(io.BytesIO(small.read_bytes())) as image:
        assert image.size == (128, 96)
    assert "characters)" in answer.out, "a picture must not fill the terminal"


def test_a_submitted_task_may_be_watched_to_its_end(taskwire: Taskwire) -> None:
    answer = taskwire("submit", SLEEP, '{"duration": "1s"}', "--delay", "1s", "--watch")
    first, *changes = answer.out.splitlines()
    assert answer.code == 0
    assert first.endswith("  submitted")
    assert any(" %" in line for line in changes)
    assert "SUCCEEDED    {" in changes[-1]


def test_a_watched_submission_in_json_is_the_watch_alone(taskwire: Taskwire) -> None:
    answer = taskwire("submit", DIVIDE, "{}", "--watch", "--json")
    events = [json.loads(line) for line in answer.out.splitlines()]
    assert answer.code == 1
    assert events[-2]["task"]["state"] == "TASK_STATE_FAILED"
    assert events[-1] == {"closed": {"reason": "REASON_TERMINAL"}}


def test_a_watched_submission_writes_its_files(
    taskwire: Taskwire, picture: Path, tmp_path: Path
) -> None:
    small = tmp_path / "small.jpg"
    files = ("--field-file", f"image={picture}", "--output", f"image={small}")
    assert taskwire("submit", THUMBNAIL, "{}", "--watch", *files).code == 0
    assert small.stat().st_size > 0


@pytest.mark.parametrize("other", [("--wait",), ("--timeout", "1s"), ("--validate-only",)])
def test_a_watch_is_not_mixed_with_other_ways_to_wait(
    taskwire: Taskwire, other: tuple[str, ...]
) -> None:
    answer = taskwire("submit", DIVIDE, "{}", "--watch", *other)
    assert answer.code == 2
    assert answer.out == ""


def test_the_json_may_come_from_a_file(taskwire: Taskwire, tmp_path: Path) -> None:
    file = tmp_path / "input.json"
    file.write_text('{"dividend": 9, "divisor": 3}')
    answer = taskwire("submit", DIVIDE, f"@{file}", "--wait", "--json")
    assert answer.json["result"]["quotient"] == 3


def test_without_wait_the_id_is_printed_with_what_to_do_next(taskwire: Taskwire) -> None:
    answer = taskwire("submit", DIVIDE, '{"dividend": 1, "divisor": 1}')
    first, second = answer.out.splitlines()
    task_id, what = first.split()
    assert uuid.UUID(task_id).version == 7
    assert what == "submitted"
    assert second == f"Follow it with: taskwire watch {task_id}"


def test_the_same_request_id_finds_the_first_task(taskwire: Taskwire) -> None:
    command = ("submit", DIVIDE, '{"divisor": 1}', "--request-id", str(uuid.uuid4()))
    first, second = taskwire(*command), taskwire(*command)
    assert first.out.split()[0] == second.out.split()[0]
    assert "submitted before" in second.out


def test_a_request_id_with_other_content_is_refused(taskwire: Taskwire) -> None:
    request_id = str(uuid.uuid4())
    taskwire("submit", DIVIDE, '{"divisor": 1}', "--request-id", request_id)
    answer = taskwire("submit", DIVIDE, '{"divisor": 2}', "--request-id", request_id)
    assert answer.code == 3
    assert "ALREADY_EXISTS REQUEST_ID_REUSED" in answer.line


def test_labels_delay_and_overrides_reach_the_task(
    taskwire: Taskwire,
) -> None:
    answer = taskwire(
        *("submit", SLEEP, '{"duration": "0s"}', "--delay", "1h", "--json"),
        *("--label", "customer=acme", "--label", "run=a=b"),
        *("--queue", "elsewhere", "--priority", "high", "--max-attempts", "2"),
        *("--attempt-timeout", "90s", "--total-timeout", "2h"),
    )
    task = answer.json
    assert task["state"] == "TASK_STATE_SCHEDULED"
    assert task["labels"] == {"customer": "acme", "run": "a=b"}
    assert task["options"]["queue"] == "elsewhere"
    assert task["options"]["priority"] == "PRIORITY_HIGH"
    assert task["options"]["retry"]["maxAttempts"] == 2
    assert task["options"]["attemptTimeout"] == "90s"
    assert task["options"]["totalTimeout"] == "7200s"
    assert task["scheduleTime"] > task["createTime"]


def test_validate_only_submits_nothing(taskwire: Taskwire) -> None:
    answer = taskwire("submit", SLEEP, '{"duration": "1s"}', "--validate-only")
    assert answer.code == 0
    assert answer.out == "The task is valid. Nothing was submitted.\n"


def test_a_wait_that_is_over_before_the_task_is_exit_code_5(taskwire: Taskwire) -> None:
    answer = taskwire("submit", FLAKY, '{"failures": 9}', "--timeout", "10ms", "--json")
    assert answer.code == 5
    assert "result" not in answer.json


def test_a_misspelled_type_names_its_neighbour(taskwire: Taskwire) -> None:
    answer = taskwire("submit", "taskwire.examples.v1.MathTasks/Dvide")
    assert answer.code == 2
    assert answer.line.endswith(f"; did you mean {DIVIDE}?")


def test_an_unknown_type_without_neighbours_says_where_to_look(taskwire: Taskwire) -> None:
    answer = taskwire("submit", "nonsense")
    assert "the server at 127.0.0.1:" in answer.line
    assert answer.line.endswith("; see: taskwire types")


@pytest.mark.parametrize(
    ("json", "problem"),
    [
        ("{", "Failed to load JSON"),
        ('{"divident": 1}', 'no field named "divident"'),
        ('{"dividend": "x"}', "dividend"),
    ],
)
def test_json_that_is_not_the_input_is_refused(taskwire: Taskwire, json: str, problem: str) -> None:
    answer = taskwire("submit", DIVIDE, json)
    assert answer.code == 2
    assert problem in answer.line


def test_input_that_breaks_a_rule_is_refused_by_the_server(taskwire: Taskwire) -> None:
    answer = taskwire("submit", SLEEP, '{"duration": "7200s"}')
    assert answer.code == 3
    assert "input.duration" in answer.line
    assert "INVALID_ARGUMENT FIELD_VIOLATION" in answer.line


def test_every_violation_is_named_once(taskwire: Taskwire) -> None:
    answer = taskwire("submit", THUMBNAIL, '{"maxWidth": -1, "maxHeight": 5000}')
    first, *listed = answer.err.splitlines()
    assert first == (
        "taskwire: The request is not valid; correct what is named here."
        " (INVALID_ARGUMENT FIELD_VIOLATION)"
    )
    fields = [line.strip().partition(": ")[0] for line in listed]
    assert sorted(fields) == ["input.image", "input.max_height", "input.max_width"]


def test_delay_and_time_exclude_each_other(taskwire: Taskwire) -> None:
    answer = taskwire("submit", DIVIDE, "--delay", "1s", "--at", "2027-01-01T00:00")
    assert answer.code == 3
    assert "CONFLICTING_FIELDS" in answer.line


def test_a_time_that_has_passed_is_told(taskwire: Taskwire) -> None:
    submit = ("submit", DIVIDE, '{"divisor": 1}', "--at")
    past = taskwire(*submit, "2026-01-01T00:00Z")
    assert past.code == 0
    assert past.line == "taskwire: that time has passed; the task is due now"
    ahead = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert taskwire(*submit, ahead).err == ""


def test_a_time_that_has_passed_is_told_only_of_a_new_task(taskwire: Taskwire) -> None:
    submit = ("submit", DIVIDE, '{"divisor": 1}', "--at", "2026-01-01T00:00Z")
    assert taskwire(*submit, "--validate-only").err == ""
    again = (*submit, "--request-id", str(uuid.uuid4()))
    assert taskwire(*again).err != ""
    assert taskwire(*again).err == ""


def test_a_file_for_no_bytes_field_is_refused(taskwire: Taskwire, picture: Path) -> None:
    answer = taskwire("submit", THUMBNAIL, "--field-file", f"imag={picture}")
    assert answer.code == 2
    assert "imag is no bytes field of" in answer.line
    assert "it has image" in answer.line


def test_a_missing_file_is_refused(taskwire: Taskwire) -> None:
    answer = taskwire("submit", THUMBNAIL, "-f", "image=nowhere.jpg")
    assert answer.code == 2
    assert "cannot read nowhere.jpg: No such file or directory" in answer.line


def test_a_misspelled_output_is_refused_before_there_is_a_task(taskwire: Taskwire) -> None:
    request_id = str(uuid.uuid4())
    command = ("submit", DIVIDE, '{"divisor": 1}', "--request-id", request_id)
    answer = taskwire(*command, "--output", "quotient=x")
    assert answer.code == 2
    assert "it has none" in answer.line
    assert "submitted before" not in taskwire(*command).out


@pytest.mark.parametrize(
    ("file", "why"), [("no/such/folder/x.png", "there is no folder"), (".", "it is a folder")]
)
def test_an_output_that_cannot_be_written_is_refused_before_there_is_a_task(
    taskwire: Taskwire, picture: Path, file: str, why: str
) -> None:
    mark = str(uuid.uuid4())
    command = ("submit", THUMBNAIL, "--field-file", f"image={picture}", "--label", f"mark={mark}")
    answer = taskwire(*command, "--output", f"image={file}")
    assert answer.code == 2
    assert why in answer.line
    assert taskwire("count", f"labels.mark = {mark}").out == "0 tasks\n"


def test_an_outcome_is_shown_before_its_file_is_written(
    taskwire: Taskwire, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(name: str, data: bytes) -> None:
        raise Stop(f"cannot write {name}: No space left on device", Exit.REFUSED)

    monkeypatch.setattr("taskwire_cli.outcome.write_file", full)
    files = ("--field-file", f"image={picture}", "--output", f"image={tmp_path / 'x'}")
    answer = taskwire("submit", THUMBNAIL, *files)
    assert answer.code == 3
    assert "SUCCEEDED" in answer.out
    assert "No space left" in answer.line


def test_get_says_that_there_is_no_result_to_write(taskwire: Taskwire, tmp_path: Path) -> None:
    failed = taskwire("submit", DIVIDE, '{"dividend": 1}', "--wait", "--json").json["id"]
    output = ("--output", f"image={tmp_path / 'x'}")
    answer = taskwire("get", failed, *output)
    assert answer.code == 3
    assert "FAILED" in answer.out
    assert "there is no result" in answer.line
    basic = taskwire("get", failed, "--view", "basic", *output)
    assert (basic.code, basic.out) == (2, "")
    assert "--view basic" in basic.line
    assert not (tmp_path / "x").exists()
