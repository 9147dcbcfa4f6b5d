"""A gateway over the real store, and the hand of a worker that tests move themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from taskwire.v1 import task_service_pb2 as pb
from taskwire.v1 import task_service_pb2_grpc
from taskwire_contracts import Contracts
from taskwire_core import recovery
from taskwire_core.failure import Code, Failure, FailureKind
from taskwire_core.ids import from_text, new_id, to_text
from taskwire_core.task import NewTask, Payload, Progress, ProgressRing, Task
from taskwire_db import operations as ops
from taskwire_db.reader import Reader
from taskwire_gateway.embedded import Foundation
from taskwire_gateway.gateway import Gateway

SHRINK = "acme.v1.Images/Shrink"


class Worker:
    """Claims and settles as a worker would, when a test says so."""

    def __init__(self, foundation: Foundation, types: tuple[str, ...] = (SHRINK,)) -> None:
        self._foundation = foundation
        self.id = new_id()
        row = ops.WorkerRow(self.id, "host", 1, 8, types, ("images",), None)
        foundation.database.execute(ops.register_worker, row)

    async def claim(self, task_id: str) -> Task:
        request = ops.ClaimRequest(from_text(task_id), self.id)
        found = await self._foundation.writer.call(ops.claim, request)
        assert found is not None, "the task could not be claimed"
        return found

    async def succeed(self, task: Task, result: Message) -> None:
        payload = Payload(result.DESCRIPTOR.full_name, result.SerializeToString())
        settled = recovery.succeeded(task, payload)
        assert await self._foundation.writer.call(ops.settle, settled) is not None

    async def fail(self, task: Task, failure: Failure) -> None:
        now_us = self._foundation.database.clock.now_us()
        settled = recovery.failed(task, failure, now_us=now_us)
        assert await self._foundation.writer.call(ops.settle, settled) is not None

    async def submit(self, parent: Task) -> str:
        """Submits a task as the handler of `parent` would, and answers with its id."""
        now_us = self._foundation.database.clock.now_us()
        new = NewTask(
            id=new_id(),
            type=parent.type,
            owner=parent.owner,
            input=Payload("acme.v1.ShrinkRequest", b""),
            options=parent.options,
            create_time_us=now_us,
            schedule_time_us=now_us,
            parent=parent.id,
            generation=1,
        )
        child = ops.ChildSubmission(new, parent.attempt)
        return to_text((await self._foundation.writer.call(ops.submit_children, child)).task.id)

    def progress(self, task: Task, fraction: float) -> None:
        ring = ProgressRing(task.id, task.attempt, Progress(fraction, 0, 0, "on it", 1_000_000))
        self._foundation.announcer.progress([ring])


class DurableCall:
    """A durable call in progress; await it for its answer."""

    def __init__(self, call: grpc.aio.UnaryStreamCall[bytes, bytes]) -> None:
        self.cancel = call.cancel
        self._call = call

    async def headers(self) -> dict[str, str | bytes]:
        """What came before the answer, as soon as it has come."""
        return dict(await self._call.initial_metadata())

    async def begun(self) -> str:
        """The task's id, of a call without a request id."""
        found = (await self.headers())["taskwire-task-id"]
        assert isinstance(found, str)
        return found

    async def trailers(self) -> dict[str, str | bytes]:
        """What came with the end."""
        return dict(await self._call.trailing_metadata())

    def __await__(self) -> Generator[Any, None, bytes]:
        return self._answer().__await__()

    async def _answer(self) -> bytes:
        return await anext(self._call.__aiter__())


class Running:
    """A started gateway with a channel to it."""

    def __init__(
        self,
        gateway: Gateway,
        foundation: Foundation,
        contracts: Contracts,
        channel: grpc.aio.Channel,
        address: str,
    ) -> None:
        self.gateway = gateway
        self.foundation = foundation
        self.contracts = contracts
        self.channel = channel
        self.address = address
        self.tasks: task_service_pb2_grpc.TaskServiceAsyncStub = (
            task_service_pb2_grpc.TaskServiceStub(channel)
        )

    def message(self, name: str, **fields: Any) -> Message:  # any field of any message
        """A dynamic message of the loaded contracts."""
        found = self.contracts.message_class(name)
        assert found is not None
        return found(**fields)

    def shrink(self, **fields: Any) -> Message:
        """A valid input, but for `fields`."""
        return self.message(
            "acme.v1.ShrinkRequest", **{"url": "https://acme.dev/a.png", "width": 80, **fields}
        )

    def request(self, **fields: Any) -> pb.SubmitTaskRequest:
        """A valid request, but for `fields`; `input` may be a message."""
        message = fields.pop("input", None) or self.shrink()
        request = pb.SubmitTaskRequest(**{"type": SHRINK, **fields})
        request.input.Pack(message)
        return request

    async def submitted(self, **fields: Any) -> str:
        """The id of a new task."""
        return (await self.tasks.SubmitTask(self.request(**fields))).task.id

    async def made_by(self, request_id: str) -> str:
        """The id of the task that a call with this request id makes, once it is committed."""
        async with asyncio.timeout(10):
            while True:
                found = await self.foundation.reader.call(Reader.find_requests, "dev", [request_id])
                if found:
                    return to_text(found[request_id][0])

    def durable(
        self, data: bytes, *metadata: tuple[str, str], path: str = SHRINK, timeout: float = 10
    ) -> DurableCall:
        """A durable call with the bytes of a request."""
        # As a stream of one answer: grpc.aio's unary calls show headers only at their end.
        method: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = self.channel.unary_stream(
            f"/{path}"
        )
        return DurableCall(method(data, metadata=metadata, timeout=timeout))


class Refusal:
    """An error status, taken apart."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        trailers = dict(error.trailing_metadata())
        self.code = error.code()
        self.message = error.details() or ""
        self.call_id = trailers.get("taskwire-call-id")
        data = trailers.get("grpc-status-details-bin", b"")
        assert isinstance(data, bytes)
        self._read(status_pb2.Status.FromString(data))

    @classmethod
    def of(cls, status: status_pb2.Status) -> Refusal:
        """One that stands in a message."""
        found = cls.__new__(cls)
        found.code = next(c for c in grpc.StatusCode if c.value[0] == status.code)
        found.message = status.message
        found.call_id = None
        found._read(status)
        return found

    def _read(self, status: status_pb2.Status) -> None:
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        retry, resource = error_details_pb2.RetryInfo(), error_details_pb2.ResourceInfo()
        for detail in status.details:
            for kind in (info, bad, retry, resource):
                detail.Unpack(kind)
        self.reason = info.reason
        self.domain = info.domain
        self.metadata = dict(info.metadata)
        self.violations = {found.field: found.description for found in bad.field_violations}
        self.retry_s = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
        self.resource = resource.resource_name


async def refusal(call: Any) -> Refusal:  # any awaitable call
    """How `call` is refused; the test fails when it is not."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return Refusal(error)
    raise AssertionError("the call was not refused")


NOT_THERE = Failure(
    kind=FailureKind.APPLICATION,
    code=Code.NOT_FOUND,
    reason="NO_SUCH_PICTURE",
    message="There is no such picture.",
    metadata={"url": "https://acme.dev/a.png"},
    domain="acme.dev",
    type="acme.NoSuchPicture",
    stack_trace="Traceback: secret",
)
