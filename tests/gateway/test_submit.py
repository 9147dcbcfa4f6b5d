"""Submitting one task: what is recorded, what a request id means, and every bad input."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import grpc
import protovalidate
import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message

from taskwire.v1 import options_pb2, task_pb2
from taskwire.v1 import task_service_pb2 as pb
from taskwire_contracts.validation import Rules
from tests.gateway.running import SHRINK, Running, Worker, refusal


@pytest.fixture
def database_url(store_url: str) -> str:
    return store_url


Disposition = pb.SubmitTaskResponse


async def test_a_submitted_task_can_be_read_with_its_input(running: Running) -> None:
    answer = await running.tasks.SubmitTask(running.request(labels={"team": "web"}))
    found = (await running.tasks.GetTask(pb.GetTaskRequest(id=answer.task.id))).task
    assert answer.disposition == Disposition.DISPOSITION_CREATED
    assert (found.type, found.owner, found.version) == (SHRINK, "dev", 1)
    assert found.state == task_pb2.TASK_STATE_QUEUED
    assert found.labels == {"team": "web"}
    assert found.input.type_url == "type.googleapis.com/acme.v1.ShrinkRequest"
    assert found.options.queue == "images"
    assert found.options.retry.max_attempts == 3


async def test_the_type_may_be_left_out(running: Running) -> None:
    assert (await running.tasks.SubmitTask(running.request(type=""))).task.type == SHRINK


async def test_overrides_merge_field_by_field(running: Running) -> None:
    request = running.request()
    request.overrides.retry.jitter = 0.0
    options = (await running.tasks.SubmitTask(request)).task.options
    assert options.retry.jitter == 0.0
    assert options.retry.max_attempts == 3


async def test_a_delay_schedules_and_a_past_time_means_now(running: Running) -> None:
    later, past = running.request(), running.request()
    later.delay.FromTimedelta(timedelta(hours=1))
    past.schedule_time.FromDatetime(datetime(2001, 1, 1, tzinfo=UTC))
    scheduled = (await running.tasks.SubmitTask(later)).task
    assert scheduled.state == task_pb2.TASK_STATE_SCHEDULED
    assert scheduled.pending_reason == task_pb2.PENDING_REASON_DELAYED
    assert (await running.tasks.SubmitTask(past)).task.state == task_pb2.TASK_STATE_QUEUED


async def test_the_same_request_id_with_the_same_content_finds_the_first_task(
    running: Running,
) -> None:
    first = await running.tasks.SubmitTask(running.request(request_id="one"))
    again = await running.tasks.SubmitTask(running.request(request_id="one", type=""))
    assert again.task.id == first.task.id
    assert again.disposition == Disposition.DISPOSITION_EXISTING


async def test_two_encodings_of_one_input_are_the_same_content(running: Running) -> None:
    one, other = running.request(request_id="one"), running.request(request_id="one")
    one.input.value = bytes.fromhex("1050") + b"\x0a\x0ahttps://ab"
    other.input.value = b"\x0a\x0ahttps://ab" + bytes.fromhex("1050")
    first = await running.tasks.SubmitTask(one)
    assert (await running.tasks.SubmitTask(other)).task.id == first.task.id


async def test_a_reused_request_id_is_refused(running: Running) -> None:
    await running.submitted(request_id="one")
    refused = await refusal(
        running.tasks.SubmitTask(running.request(request_id="one", labels={"a": "b"}))
    )
    assert refused.code is grpc.StatusCode.ALREADY_EXISTS
    assert refused.reason == "REQUEST_ID_REUSED"
    assert refused.violations == {"request_id": "was used with other content"}
    assert "choose a new one" in refused.message


async def test_a_request_id_is_looked_up_before_the_contracts(running: Running) -> None:
    task_id = await running.submitted(request_id="one")
    gone = running.contracts.types.pop(SHRINK)  # type: ignore[attr-defined]  # it is a dict
    running.contracts.by_input.clear()  # type: ignore[attr-defined]  # it is a dict
    found = await running.tasks.SubmitTask(running.request(request_id="one"))
    assert gone.name == SHRINK
    assert found.task.id == task_id


async def test_validate_only_records_nothing(running: Running) -> None:
    answer = await running.tasks.SubmitTask(running.request(validate_only=True, request_id="v"))
    assert answer.disposition == Disposition.DISPOSITION_VALIDATED
    assert answer.task.id == ""
    again = await running.tasks.SubmitTask(running.request(request_id="v", labels={"a": "b"}))
    assert again.disposition == Disposition.DISPOSITION_CREATED


async def test_require_worker_refuses_without_one(running: Running) -> None:
    refused = await refusal(running.tasks.SubmitTask(running.request(require_worker=True)))
    assert refused.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refused.reason == "NO_WORKER"
    assert refused.metadata == {"type": SHRINK, "queue": "images"}


async def test_a_task_on_a_queue_that_nobody_works_on_has_no_worker(
    running: Running, worker: Worker
) -> None:
    elsewhere = options_pb2.TaskOverrides(queue="elsewhere")
    refused = await refusal(
        running.tasks.SubmitTask(running.request(overrides=elsewhere, require_worker=True))
    )
    assert refused.metadata == {"type": SHRINK, "queue": "elsewhere"}
    answer = await running.tasks.SubmitTask(running.request(overrides=elsewhere))
    assert answer.task.pending_reason == task_pb2.PENDING_REASON_NO_WORKER


async def test_require_worker_accepts_with_one(running: Running, worker: Worker) -> None:
    assert await running.submitted(require_worker=True)


async def test_an_unknown_type_names_near_matches(running: Running) -> None:
    refused = await refusal(running.tasks.SubmitTask(running.request(type="acme.v1.Images/Shrnk")))
    assert refused.code is grpc.StatusCode.NOT_FOUND
    assert refused.reason == "TASK_TYPE_NOT_FOUND"
    assert refused.metadata["near"] == SHRINK
    assert f"did you mean {SHRINK}?" in refused.message


async def test_a_method_that_is_no_task_is_an_unknown_type(running: Running) -> None:
    refused = await refusal(running.tasks.SubmitTask(running.request(type="acme.v1.Images/Ping")))
    assert refused.reason == "TASK_TYPE_NOT_FOUND"


async def test_all_violations_come_at_once_with_their_paths(running: Running) -> None:
    bad = running.shrink(url="no uri", width=0, crops=[running.message("acme.v1.Crop", left=-1)])
    refused = await refusal(running.tasks.SubmitTask(running.request(input=bad, labels={"0": "x"})))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.reason == "FIELD_VIOLATION"
    assert refused.domain == "taskwire.dev"
    assert set(refused.violations) == {
        'labels["0"]',
        "input.url",
        "input.width",
        "input.crops[0].left",
    }
    assert refused.call_id


async def test_a_missing_input_is_one_violation(running: Running) -> None:
    refused = await refusal(running.tasks.SubmitTask(pb.SubmitTaskRequest()))
    assert refused.reason == "FIELD_VIOLATION"
    assert refused.violations == {"input": "value is required"}


async def test_the_wrong_message_for_the_type_is_named(running: Running) -> None:
    wrong = running.message("acme.v1.DrawRequest")
    refused = await refusal(running.tasks.SubmitTask(running.request(input=wrong)))
    assert refused.reason == "WRONG_INPUT_TYPE"
    assert "takes a acme.v1.ShrinkRequest" in refused.violations["input"]


async def test_malformed_input_bytes_are_refused(running: Running) -> None:
    request = running.request()
    request.input.value = b"\xff\xff\xff"
    refused = await refusal(running.tasks.SubmitTask(request))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.reason == "MALFORMED_REQUEST"


async def test_malformed_bytes_on_the_wire_are_refused(running: Running) -> None:
    method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
    method = running.channel.unary_unary("/taskwire.v1.TaskService/SubmitTask")
    refused = await refusal(method(b"\xff\xff\xff"))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.reason == "MALFORMED_REQUEST"
    assert refused.metadata == {"type": "taskwire.v1.SubmitTaskRequest"}


async def test_an_oversized_input_is_refused_for_good(running: Running) -> None:
    big = running.shrink(url="https://acme.dev/" + "a" * 2_000)
    refused = await refusal(running.tasks.SubmitTask(running.request(input=big)))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.reason == "PAYLOAD_TOO_LARGE"


async def test_both_times_conflict(running: Running) -> None:
    request = running.request()
    request.delay.seconds = 1
    request.schedule_time.seconds = 1
    refused = await refusal(running.tasks.SubmitTask(request))
    assert refused.reason == "CONFLICTING_FIELDS"
    assert "not both" in refused.message


@pytest.mark.parametrize("field", ["delay", "schedule_time"])
async def test_a_time_too_far_ahead_is_refused(running: Running, field: str) -> None:
    request = running.request()
    getattr(request, field).seconds = 250_000_000_000
    refused = await refusal(running.tasks.SubmitTask(request))
    assert refused.reason == "TIME_OUT_OF_RANGE"
    assert refused.violations == {field: "is more than 366 days ahead"}


async def test_invalid_overrides_are_named(running: Running) -> None:
    request = running.request()
    request.overrides.retry.max_attempts = 0
    request.overrides.queue = "no queue"
    refused = await refusal(running.tasks.SubmitTask(request))
    assert set(refused.violations) == {"overrides.retry.max_attempts", "overrides.queue"}


async def test_at_most_once_excludes_retries_in_overrides_too(running: Running) -> None:
    request = running.request(
        type="acme.v1.Images/Draw", input=running.message("acme.v1.DrawRequest")
    )
    request.overrides.retry.max_attempts = 2
    refused = await refusal(running.tasks.SubmitTask(request))
    assert "at_most_once" in refused.violations["overrides.retry.max_attempts"]


async def test_an_input_of_no_type_is_refused(running: Running) -> None:
    refused = await refusal(running.tasks.SubmitTask(pb.SubmitTaskRequest(input=Any(value=b"x"))))
    assert refused.violations == {"input.@type": "is required where no task type is named"}


async def test_a_task_without_a_worker_says_so(running: Running) -> None:
    answer = await running.tasks.SubmitTask(running.request())
    assert answer.task.pending_reason == task_pb2.PENDING_REASON_NO_WORKER


class CountingValidator:
    """protovalidate's, which also counts the violations that it listed."""

    def __init__(self) -> None:
        self.listed = 0
        self._validator = protovalidate.Validator()

    def collect_violations(
        self, message: Message, *, fail_fast: bool = False
    ) -> list[protovalidate.Violation]:
        found = self._validator.collect_violations(message, fail_fast=fail_fast)
        self.listed += len(found)
        return found


def rules(monkeypatch: pytest.MonkeyPatch) -> tuple[Rules, CountingValidator]:
    validator = CountingValidator()
    monkeypatch.setattr(Rules, "_validator", validator)
    return Rules(), validator


@pytest.mark.parametrize("field", ["crops", "notes"])
def test_of_a_message_with_thousands_of_values_one_violation_is_listed(
    running: Running, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    crops = [running.message("acme.v1.Crop", left=-1) for _ in range(1_500)]
    notes = {str(number): "" for number in range(2_500)}
    bad = running.shrink(width=0, **{"crops": crops} if field == "crops" else {"notes": notes})
    checked, validator = rules(monkeypatch)
    assert len(checked.violations(bad)) == 1
    assert validator.listed == 1


def test_large_payloads_with_few_values_have_all_their_violations(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = running.shrink(url="no uri" * 100_000, width=0, notes={"a": "b" * 100_000})
    checked, _ = rules(monkeypatch)
    assert len(checked.violations(bad)) == 2
    assert len(checked.violations(bad, brief=True)) == 1


async def test_metadata_of_durable_calls_is_refused_where_it_would_be_ignored(
    running: Running,
) -> None:
    refused = await refusal(
        running.tasks.SubmitTask(running.request(), metadata=[("taskwire-request-id", "r")])
    )
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.reason == "UNKNOWN_METADATA"
    assert "use the fields of the request" in refused.message
