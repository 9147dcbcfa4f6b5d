"""The server: reflection, health, task types, unforeseen errors, an address in use, a drain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import grpc
import pytest
from google.protobuf import descriptor_pb2
from google.rpc import status_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from taskwire.v1 import task_pb2
from taskwire.v1 import task_service_pb2 as pb
from taskwire_contracts import Contracts
from taskwire_contracts.statuses import wire_message
from taskwire_core.errors import (
    ConfigurationError,
    FieldViolation,
    InvalidRequest,
    StoreUnavailable,
    Unavailable,
)
from taskwire_core.ids import from_text
from taskwire_core.lifecycle import State
from taskwire_core.task import Attempt, Payload, View
from taskwire_gateway.admission import Admission, Kind
from taskwire_gateway.embedded import Foundation, surroundings
from taskwire_gateway.gateway import Gateway, Tuning
from taskwire_gateway.identity import Everybody
from taskwire_gateway.queue_ports import PausedQueues
from taskwire_gateway.rpc.calls import Call, Send, stream
from taskwire_gateway.rpc.statuses import status_of
from taskwire_gateway.rpc.task_messages import TaskMessages
from taskwire_gateway.use_cases.reading import GroupReader
from taskwire_gateway.workers_alive import LiveWorkers
from tests.gateway.running import NOT_THERE, SHRINK, Refusal, Running, Worker, refusal
from tests.support.eventually import eventually_async
from tests.support.tasks import task

ANYBODY = Everybody("dev", "dev")


async def reflect(
    running: Running, version: str, *requests: reflection_pb2.ServerReflectionRequest
) -> Sequence[reflection_pb2.ServerReflectionResponse]:
    async def all_requests() -> AsyncIterator[reflection_pb2.ServerReflectionRequest]:
        for request in requests:
            yield request

    method = running.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    return [response async for response in method(all_requests())]


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_lists_every_service(running: Running, version: str) -> None:
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    (answer,) = await reflect(running, version, request)
    assert {service.name for service in answer.list_services_response.service} == {
        "acme.v1.Images",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "google.longrunning.Operations",
        "taskwire.v1.BulkTaskService",
        "taskwire.v1.QueueService",
        "taskwire.v1.TaskService",
        "taskwire.v1.UserService",
    }


@pytest.mark.parametrize(
    ("symbol", "file"),
    [
        ("acme.v1.Images", "acme/v1/images.proto"),
        ("acme.v1.Images.Shrink", "acme/v1/images.proto"),
        ("google.rpc.ErrorInfo", "google/rpc/error_details.proto"),
        ("taskwire.v1.TaskService", "taskwire/v1/task_service.proto"),
        ("grpc.reflection.v1.ServerReflection", "grpc/reflection/v1/reflection.proto"),
        ("grpc.health.v1.Health", "grpc_health/v1/health.proto"),
        ("buf.validate.FieldRules", "buf/validate/validate.proto"),
    ],
)
async def test_reflection_explains_every_symbol(running: Running, symbol: str, file: str) -> None:
    request = reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol)
    (answer,) = await reflect(running, "v1", request)
    files = [
        descriptor_pb2.FileDescriptorProto.FromString(data)
        for data in answer.file_descriptor_response.file_descriptor_proto
    ]
    names = {found.name for found in files}
    assert files[0].name == file
    assert {name for found in files for name in found.dependency} <= names


async def test_reflection_answers_what_it_does_not_know(running: Running) -> None:
    unknown = reflection_pb2.ServerReflectionRequest(file_by_filename="no.proto")
    (answer,) = await reflect(running, "v1", unknown)
    assert answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


async def test_health_knows_every_service_and_the_end(running: Running) -> None:
    check: grpc.aio.UnaryUnaryMultiCallable[bytes, health_pb2.HealthCheckResponse]
    check = running.channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    for service in ("", "taskwire.v1.TaskService", "acme.v1.Images"):
        request = health_pb2.HealthCheckRequest(service=service).SerializeToString()
        assert (await check(request)).status == health_pb2.HealthCheckResponse.SERVING
    running.gateway._health.end()
    assert (await check(b"")).status == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_task_types_come_in_pages(running: Running, worker: Worker) -> None:
    first = await running.tasks.ListTaskTypes(pb.ListTaskTypesRequest(page_size=3))
    token = first.next_page_token
    second = await running.tasks.ListTaskTypes(pb.ListTaskTypesRequest(page_token=token))
    names = [found.name.rpartition("/")[2] for found in first.task_types]
    assert names == ["Draw", "Publish", "Report"]
    (shrink,) = second.task_types
    assert (shrink.name, shrink.live_workers) == (SHRINK, 1)
    assert shrink.description == "Makes a picture smaller."
    assert shrink.input_type == "acme.v1.ShrinkRequest"
    assert second.next_page_token == ""


async def test_a_foreign_page_token_is_refused(running: Running) -> None:
    refused = await refusal(running.tasks.ListTaskTypes(pb.ListTaskTypesRequest(page_token="x")))
    assert refused.reason == "INVALID_PAGE_TOKEN"


@pytest.mark.parametrize("method", ["GetTask", "CancelTask", "WaitTask"])
async def test_an_unknown_id_is_not_found(running: Running, method: str) -> None:
    unknown = "01a204aa-0000-7000-8000-000000000000"
    request = getattr(pb, f"{method}Request")(id=unknown)
    refused = await refusal(getattr(running.tasks, method)(request))
    assert refused.code is grpc.StatusCode.NOT_FOUND
    assert refused.reason == "TASK_NOT_FOUND"
    assert refused.metadata == {"id": unknown, "possiblyDeleted": "true"}
    assert refused.resource == unknown


@pytest.mark.parametrize("method", ["GetTask", "CancelTask", "WaitTask"])
async def test_an_id_that_is_none_is_a_violation(running: Running, method: str) -> None:
    refused = await refusal(getattr(running.tasks, method)(getattr(pb, f"{method}Request")(id="x")))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refused.violations) == ["id"]


async def test_tasks_that_are_asked_for_together_are_read_as_far_as_they_are_bearable(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [from_text(await running.submitted()) for _ in range(3)]
    store, counts = running.gateway._store, []
    some_tasks = store.some_tasks

    async def counted(wanted: Sequence[bytes], view: View, max_bytes: int) -> Any:
        count, found = await some_tasks(wanted, view, max_bytes)
        counts.append((len(wanted), count))
        return count, found

    monkeypatch.setattr(store, "some_tasks", counted)
    monkeypatch.setattr("taskwire_gateway.use_cases.reading.READ_BYTES", 1)
    reader = GroupReader(store)
    found = await asyncio.gather(*(reader.find(task_id, View.FULL) for task_id in ids))
    assert [each.id for each in found if each is not None] == ids
    assert counts == [(3, 1), (2, 1)]


async def test_a_cancel_of_an_ended_task_is_ok_and_not_effective(running: Running) -> None:
    request = pb.CancelTaskRequest(id=await running.submitted(), reason="enough")
    first = await running.tasks.CancelTask(request)
    again = await running.tasks.CancelTask(request)
    assert (first.effective, again.effective) == (True, False)
    assert again.task.version == first.task.version == 2
    assert again.task.cancel_reason == "enough"


async def test_a_running_task_is_told(running: Running, worker: Worker) -> None:
    task_id = await running.submitted()
    await worker.claim(task_id)
    answer = await running.tasks.CancelTask(pb.CancelTaskRequest(id=task_id))
    assert answer.effective
    assert answer.task.state == task_pb2.TASK_STATE_CANCELLING


async def test_an_error_that_nobody_foresaw_says_nothing_of_itself(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object, **__: object) -> None:
        raise RuntimeError("the secret")

    monkeypatch.setattr(running.gateway._store, "cancel", fails)
    request = pb.CancelTaskRequest(id=await running.submitted())
    refused = await refusal(running.tasks.CancelTask(request))
    assert refused.code is grpc.StatusCode.INTERNAL
    assert refused.reason == "INTERNAL"
    assert "secret" not in refused.message
    assert refused.metadata["requestId"] == refused.call_id


async def test_a_store_that_is_away_is_unavailable(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("database is locked")

    monkeypatch.setattr(running.gateway._store, "submit", away)
    refused = await refusal(running.tasks.SubmitTask(running.request()))
    assert refused.code is grpc.StatusCode.UNAVAILABLE
    assert refused.reason == "STORE_UNAVAILABLE"
    assert refused.retry_s == 1
    assert "locked" not in refused.message


async def test_an_address_in_use_is_one_line(
    running: Running, foundation: Foundation, contracts: Contracts
) -> None:
    second = Gateway(surroundings(contracts, foundation), Tuning())
    with pytest.raises(ConfigurationError, match="cannot listen on"):
        await second.start(running.address)
    await second.close()


async def test_a_drain_tells_a_waiting_call_to_come_again(running: Running, worker: Worker) -> None:
    task_id = await running.submitted()
    wait = asyncio.ensure_future(running.tasks.WaitTask(pb.WaitTaskRequest(id=task_id)))
    await eventually_async(lambda: running.gateway._hub.watchers == 1)
    await running.gateway.drain(timedelta(seconds=5))
    refused = await refusal(wait)
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING")


async def test_a_malformed_reflection_request_is_refused_like_any_other(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    async def garbage() -> AsyncIterator[bytes]:
        yield b"\xff\xff"

    method: grpc.aio.StreamUnaryMultiCallable[bytes, bytes] = running.channel.stream_unary(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
    )
    refused = await refusal(method(garbage()))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.reason == "MALFORMED_REQUEST"
    assert not caplog.records


async def test_a_caller_that_goes_while_it_is_written_to_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Gone:
        async def write(self, _data: bytes) -> None:
            raise grpc.aio.InternalError("Failed execute_batch")

        def invocation_metadata(self) -> tuple[()]:
            return ()

    async def serve(_request: pb.WatchTaskRequest, _call: Call, send: Send) -> None:
        await send(pb.WatchTaskResponse())

    handler: Any = stream(pb.WatchTaskRequest, Admission(ANYBODY).gate(Kind.WATCH), serve)
    with pytest.raises(asyncio.CancelledError):
        await handler.unary_stream(b"", Gone())
    assert not caplog.records


@pytest.mark.parametrize("text", ["x", "😀"])
def test_a_status_stays_small_whatever_is_wrong(text: str) -> None:
    violations = [FieldViolation(f"input.f{i}", text * 100, "r") for i in range(500)]
    status = status_of(InvalidRequest("FIELD_VIOLATION", "No.", violations=violations))
    refused = Refusal.of(status)
    assert status.ByteSize() < 6_000
    assert int(refused.metadata["omittedViolations"]) + len(refused.violations) == 500


class Nobody:
    async def live_workers(self) -> dict[tuple[str, str], int]:
        return {}

    async def paused(self) -> frozenset[str]:
        return frozenset()


async def test_a_payload_of_an_unknown_type_is_left_out(contracts: Contracts) -> None:
    messages = TaskMessages(contracts, LiveWorkers(Nobody()), PausedQueues(Nobody()))
    unknown = Payload("gone.v1.Thing", b"x")
    found = messages.task(task(state=State.SUCCEEDED, result=unknown, input=unknown), View.FULL)
    assert found.payload_unavailable
    assert not found.HasField("result")
    assert not found.HasField("input")


async def test_stack_traces_need_the_full_view_and_the_operator(contracts: Contracts) -> None:
    failed = task(state=State.FAILED, failure=NOT_THERE, attempts=(Attempt(1, bytes(16), 1),))
    allowed = TaskMessages(
        contracts, LiveWorkers(Nobody()), PausedQueues(Nobody()), stack_traces=True
    )
    denied = TaskMessages(contracts, LiveWorkers(Nobody()), PausedQueues(Nobody()))
    assert allowed.task(failed, View.FULL).error.stack_trace
    assert not allowed.task(failed, View.OUTCOME).error.stack_trace
    assert not denied.task(failed, View.FULL).error.stack_trace
    assert denied.task(failed, View.FULL).attempts[0].number == 1
    assert not denied.task(failed, View.BASIC).HasField("error")


async def test_unknown_status_details_are_stripped(contracts: Contracts) -> None:
    status = status_pb2.Status(code=5)
    status.details.add(type_url="type.googleapis.com/gone.v1.Detail")
    status.details.add(type_url="type.googleapis.com/google.rpc.ErrorInfo")
    kept = (
        TaskMessages(contracts, LiveWorkers(Nobody()), PausedQueues(Nobody()))
        .known_status(status)
        .details
    )
    assert [detail.type_url for detail in kept] == ["type.googleapis.com/google.rpc.ErrorInfo"]


@pytest.mark.parametrize("text", ["a" * 5_000, "ü" * 5_000, "日" * 5_000])
def test_a_message_fits_into_a_header_however_it_is_spelled(text: str) -> None:
    message = wire_message(text)
    assert message.endswith("…")
    assert len(quote(message)) < 1_300


def test_the_bytes_of_all_requests_in_progress_have_one_limit() -> None:
    admission = Admission(ANYBODY, request_bytes=100)
    unary, durable = admission.gate(Kind.UNARY), admission.gate(Kind.DURABLE)
    with unary.admit(b"x" * 150):
        with pytest.raises(Unavailable, match="busy") as refused, durable.admit(b"x"):
            pass
        assert refused.value.reason == "OVERLOADED"
    with unary.admit(b"x" * 60), durable.admit(b"x" * 40):
        pass
