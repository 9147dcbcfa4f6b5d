"""The public contract: what it promises stays, and its rules accept and refuse what they should."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import protovalidate
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import Message

from taskwire.v1 import errors_pb2, options_pb2, task_pb2, task_service_pb2
from taskwire.v1.task_service_pb2 import (
    CancelTaskRequest,
    ListTasksRequest,
    RetryTaskRequest,
    SubmitTaskRequest,
    WaitTaskRequest,
    WatchTaskRequest,
    WatchTasksRequest,
)

ROOT = Path(__file__).resolve().parents[2]
BUF = Path(sys.executable).with_name("buf")
ID = "0193a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"


def submission() -> SubmitTaskRequest:
    """The smallest submission that is valid."""
    request = SubmitTaskRequest()
    request.input.SetInParent()
    return request


def broken_rules(message: Message) -> list[tuple[str, str]]:
    """The first field and the rule of every violation; the field of a message's own rule is ""."""
    found = []
    for violation in protovalidate.collect_violations(message):
        elements = violation.proto.field.elements if violation.proto.field else []
        found.append((elements[0].field_name if elements else "", violation.proto.rule_id))
    return found


def test_a_submission_of_nothing_but_an_input_is_valid() -> None:
    assert broken_rules(submission()) == []


def test_every_violation_of_a_submission_is_reported_at_once() -> None:
    request = SubmitTaskRequest(request_id="caf\u00e9", labels={"1st": "x" * 257})
    request.schedule_time.GetCurrentTime()
    request.delay.FromSeconds(-1)

    assert sorted(broken_rules(request)) == [
        ("", "message.oneof"),
        ("delay", "duration.gte"),
        ("input", "required"),
        ("labels", "string.max_len"),
        ("labels", "string.pattern"),
        ("request_id", "string.pattern"),
    ]


@pytest.mark.parametrize("request_id", ["", "a", "order 17/retry", "~" * 128])
def test_a_request_id_is_printable_ascii_if_it_is_set(request_id: str) -> None:
    request = submission()
    request.request_id = request_id
    assert broken_rules(request) == []
    assert broken_rules(RetryTaskRequest(id=ID, request_id=request_id)) == []


@pytest.mark.parametrize("request_id", ["x" * 129, "a\n", "\x7f", "\t"])
def test_any_other_request_id_is_refused(request_id: str) -> None:
    request = submission()
    request.request_id = request_id
    assert broken_rules(request) == [("request_id", "string.pattern")]


def test_a_task_has_at_most_32_labels() -> None:
    request = submission()
    request.labels.update({f"label{number}": "" for number in range(32)})
    assert broken_rules(request) == []
    request.labels["one.too-many"] = ""
    assert broken_rules(request) == [("labels", "map.max_pairs")]


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, message in task_service_pb2.DESCRIPTOR.message_types_by_name.items()
        if name.endswith("Request") and "id" in message.fields_by_name
    ],
)
def test_a_task_is_named_by_a_uuid(name: str) -> None:
    request_class: type[Message] = getattr(task_service_pb2, name)
    assert broken_rules(request_class(id=ID)) == []
    assert broken_rules(request_class(id="17")) == [("id", "string.uuid")]
    assert broken_rules(request_class()) == [("id", "string.uuid_empty")]


@pytest.mark.parametrize(("seconds", "valid"), [(4, False), (5, True), (60, True), (61, False)])
def test_a_heartbeat_comes_every_5_to_60_seconds(seconds: int, valid: bool) -> None:
    one, several = WatchTaskRequest(id=ID), WatchTasksRequest(ids=[ID])
    one.heartbeat_interval.FromSeconds(seconds)
    several.heartbeat_interval.FromSeconds(seconds)
    expected = [] if valid else [("heartbeat_interval", "duration.gte_lte")]
    assert broken_rules(one) == expected
    assert broken_rules(several) == expected


def test_a_wait_takes_at_most_50_seconds() -> None:
    request = WaitTaskRequest(id=ID)
    request.timeout.FromSeconds(50)
    assert broken_rules(request) == []
    request.timeout.FromSeconds(51)
    assert broken_rules(request) == [("timeout", "duration.gte_lte")]


def test_a_batch_has_1_to_1000_items() -> None:
    request = task_service_pb2.BatchSubmitTasksRequest()
    assert broken_rules(request) == [("requests", "repeated.min_items")]
    request.requests.extend([submission()] * 1000)
    assert broken_rules(request) == []
    request.requests.append(submission())
    assert broken_rules(request) == [("requests", "repeated.max_items")]


def test_tasks_are_watched_by_ids_or_by_a_filter() -> None:
    assert broken_rules(WatchTasksRequest()) == []
    assert broken_rules(WatchTasksRequest(filter="state = FAILED")) == []
    assert broken_rules(WatchTasksRequest(ids=[ID], filter="state = FAILED")) == [
        ("", "message.oneof")
    ]


def test_a_page_has_at_most_1000_tasks_in_one_of_three_orders() -> None:
    assert broken_rules(ListTasksRequest()) == []
    assert broken_rules(ListTasksRequest(page_size=1000, order_by="create_time desc")) == []
    assert broken_rules(ListTasksRequest(page_size=1001, order_by="state")) == [
        ("order_by", "string.in"),
        ("page_size", "int32.gte_lte"),
    ]


def test_a_cancel_may_say_why() -> None:
    assert broken_rules(CancelTaskRequest(id=ID, reason="x" * 1000)) == []
    assert broken_rules(CancelTaskRequest(id=ID, reason="x" * 1001)) == [
        ("reason", "string.max_len")
    ]


def test_an_unknown_view_is_refused() -> None:
    request = task_service_pb2.GetTaskRequest(id=ID)
    request.view = 99  # type: ignore[assignment]  # what an unknown client may send
    assert broken_rules(request) == [("view", "enum.defined_only")]


def test_what_every_team_imports_imports_nothing_but_google() -> None:
    assert [file.name for file in options_pb2.DESCRIPTOR.dependencies] == [
        "google/protobuf/descriptor.proto",
        "google/protobuf/duration.proto",
    ]


def test_every_option_but_at_most_once_can_be_overridden() -> None:
    options = options_pb2.TaskOptions.DESCRIPTOR.fields_by_name
    overrides = options_pb2.TaskOverrides.DESCRIPTOR.fields_by_name
    assert set(options) - set(overrides) == {"at_most_once"}
    for name, field in overrides.items():
        assert _shape(field) == _shape(options[name])


def _shape(field: FieldDescriptor) -> tuple[int, int, bool]:
    return field.number, field.type, field.has_presence


def test_the_reasons_of_errors_are_only_added_to() -> None:
    reasons = {
        value.name.removeprefix("ERROR_REASON_"): value.number
        for value in errors_pb2.ErrorReason.DESCRIPTOR.values
    }
    promised = {
        "UNSPECIFIED": 0,
        "FIELD_VIOLATION": 1,
        "WRONG_INPUT_TYPE": 2,
        "CONFLICTING_FIELDS": 3,
        "TIME_OUT_OF_RANGE": 4,
        "MALFORMED_REQUEST": 5,
        "PAYLOAD_TOO_LARGE": 6,
        "BATCH_TOO_LARGE": 7,
        "INVALID_FILTER": 8,
        "INVALID_PAGE_TOKEN": 9,
        "UNKNOWN_METADATA": 10,
        "INVALID_METADATA": 11,
        "CHAIN_TOO_LONG": 13,
        "INVALID_FOLLOW_UP": 14,
        "VERSION_AHEAD": 20,
        "TASK_NOT_FOUND": 30,
        "TASK_TYPE_NOT_FOUND": 31,
        "USER_NOT_FOUND": 32,
        "REQUEST_ID_REUSED": 40,
        "USERNAME_TAKEN": 41,
        "EMAIL_TAKEN": 42,
        "NO_WORKER": 50,
        "TASK_NOT_ENDED": 51,
        "ETAG_MISMATCH": 60,
        "RATE_LIMITED": 70,
        "QUOTA_EXCEEDED": 71,
        "BACKLOG_FULL": 72,
        "TOO_MANY_WATCHES": 73,
        "STORE_UNAVAILABLE": 80,
        "OVERLOADED": 81,
        "SERVER_DRAINING": 82,
        "MISSING_CREDENTIALS": 90,
        "INVALID_CREDENTIALS": 91,
        "PERMISSION_MISSING": 92,
        "DEADLINE_PASSED": 100,
        "TASK_TIMED_OUT": 101,
        "TASK_EXPIRED": 102,
        "TASK_CANCELLED": 110,
        "STOPPED": 111,
        "UNEXPECTED_EXCEPTION": 120,
        "WORKER_LOST": 121,
        "TASK_POISONOUS": 122,
        "BAD_RESULT": 123,
        "INTERNAL": 124,
        "INPUT_UNREADABLE": 125,
        "METHOD_NOT_SERVED": 130,
    }
    assert reasons | promised == reasons


def test_every_reason_in_the_code_is_one_of_the_contract() -> None:
    literal = re.compile(
        r"(?:reason=|(?:RequestError|InvalidRequest|NotFound|Conflict|Unready|Refused|Unavailable)"
        r"\(\s*)\"([A-Z_]+)\""
    )
    rooms = ("core", "contracts", "db", "broker", "admin", "gateway", "worker")
    used = {
        reason: str(path.relative_to(ROOT))
        for room in rooms
        for path in (ROOT / room).rglob("*.py")
        for reason in literal.findall(path.read_text())
    }
    promised = {
        name.removeprefix("ERROR_REASON_")
        for name in errors_pb2.ErrorReason.DESCRIPTOR.values_by_name
    }
    assert used, "the expression above finds no reason at all"
    assert {reason: path for reason, path in used.items() if reason not in promised} == {}


def test_a_client_sees_the_comments_of_the_contract() -> None:
    image = FileDescriptorSet.FromString((ROOT / "taskwire/_contracts/taskwire.binpb").read_bytes())
    service = next(file for file in image.file if file.name.endswith("/task_service.proto"))
    comments = [location.leading_comments for location in service.source_code_info.location]
    assert any("Submits one task." in comment for comment in comments)


def test_renaming_a_field_is_found_by_the_comparison_with_an_earlier_contract(
    tmp_path: Path,
) -> None:
    changed = tmp_path / "protos"
    shutil.copytree(ROOT / "protos", changed)
    task = changed / "taskwire/v1/task.proto"
    task.write_text(task.read_text().replace("int64 version = 6", "int64 revision = 6"))
    before, after = tmp_path / "before.binpb", tmp_path / "after.binpb"
    for source, image in ((ROOT / "protos", before), (changed, after)):
        subprocess.run(
            [sys.executable, ROOT / "hatch_build.py", "--source", source, "--image", image],
            check=True,
        )

    def compare(image: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BUF, "breaking", image, "--against", before, "--path", "taskwire"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    assert compare(before).returncode == 0
    broken = compare(after)
    assert broken.returncode != 0
    assert "version" in broken.stdout


def test_the_first_state_of_every_enum_is_unspecified() -> None:
    for enum in (
        task_pb2.TaskState,
        task_pb2.PendingReason,
        task_pb2.TaskView,
        task_pb2.TaskError.Kind,
        options_pb2.Priority,
        errors_pb2.ErrorReason,
    ):
        assert enum.DESCRIPTOR.values_by_number[0].name.endswith("UNSPECIFIED")
