"""Durable calls: every task type served on its own method path, for ordinary stubs.

With a request id nothing is sent before the answer: early headers would commit the call and
switch off the client's own retry, which re-attaches after a restart of this gateway. Without
one the task's id is sent in the headers at once, the only handle that the caller has.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import grpc
from google.protobuf.any_pb2 import Any
from google.rpc import error_details_pb2, status_pb2

from taskwire.v1 import options_pb2, task_service_pb2
from taskwire_contracts import TaskType
from taskwire_contracts.conversion import set_duration
from taskwire_contracts.statuses import failure_status
from taskwire_core.errors import RequestError, StoreUnavailable
from taskwire_core.failpoints import ARMED, hit
from taskwire_core.failure import Code
from taskwire_core.ids import new_id, to_text
from taskwire_core.lifecycle import State
from taskwire_core.task import Task, View
from taskwire_gateway.admission import Gate
from taskwire_gateway.rpc.calls import Call, Context, StatusError, metadata_of
from taskwire_gateway.rpc.durable_metadata import TASK_ID, DurableMetadata, read_metadata
from taskwire_gateway.rpc.task_messages import TaskMessages
from taskwire_gateway.use_cases.cancelling import Cancelling
from taskwire_gateway.use_cases.reading import GroupReader
from taskwire_gateway.use_cases.recording import Accepted
from taskwire_gateway.use_cases.submitting import Submitting
from taskwire_gateway.watch.hub import WatchHub
from taskwire_gateway.watch.slot import Slot
from taskwire_gateway.watch.watching import Watching

log = logging.getLogger(__name__)

_LONGEST_WAIT_S = timedelta(days=1).total_seconds()
_MARGIN_S = 0.2
"""We answer so long before the caller's deadline, so that the answer still arrives."""
_FINAL = ("grpc-retry-pushback-ms", "-1")
"""Tells gRPC's own retry that there is nothing to wait for: an ended task stays as it has ended."""

_Submit = Callable[[task_service_pb2.SubmitTaskRequest, str, bytes], Awaitable[Accepted]]
"""Of a request, its owner and the id of the task if it is a new one."""


class DurableCalls:
    """Makes the handler of any task type."""

    def __init__(
        self,
        *,
        submitting: Submitting,
        cancelling: Cancelling,
        watching: Watching,
        hub: WatchHub,
        tasks: GroupReader,
        messages: TaskMessages,
        gate: Gate,
    ) -> None:
        self._submitting = submitting
        self._cancelling = cancelling
        self._watching = watching
        self._hub = hub
        self._tasks = tasks
        self._messages = messages
        self._gate = gate
        self._cancels: set[asyncio.Task[None]] = set()

    def handler(self, task_type: TaskType) -> grpc.RpcMethodHandler[bytes, bytes]:
        """The method that runs a task of `task_type` and answers with its result."""

        async def answer(data: bytes, context: Context) -> bytes:
            async with Call(context, self._gate) as call:
                with self._gate.admit(data):
                    return await self._serve(task_type, data, call)

        return grpc.unary_unary_rpc_method_handler(answer)

    async def _serve(self, task_type: TaskType, data: bytes, call: Call) -> bytes:
        wishes = read_metadata(metadata_of(call.context))
        request = _request(task_type, data, wishes)
        if wishes.cancel_on_disconnect:
            ended = await self._until_gone(request, call)
        else:
            ended = await self._outcome(request, call, self._submit)
        if ended.state is not State.SUCCEEDED:
            call.trailers.append(_FINAL)
        if ARMED:
            hit("durable.answering")
        return self._answer(ended)

    async def _until_gone(self, request: task_service_pb2.SubmitTaskRequest, call: Call) -> Task:
        """The outcome of a task that is cancelled if the caller goes, but not if this server does.

        What is being committed at that moment is cancelled as soon as it is.
        """
        owner = call.owner
        submission: asyncio.Task[Accepted] | None = None

        async def submit(
            request: task_service_pb2.SubmitTaskRequest, owner: str, task_id: bytes
        ) -> Accepted:
            nonlocal submission
            submission = asyncio.create_task(self._submit(request, owner, task_id))
            return await asyncio.shield(submission)

        try:
            return await self._outcome(request, call, submit)
        except asyncio.CancelledError:
            if submission is not None and not self._hub.draining:
                self._cancel_later(submission, owner)
            raise

    async def _outcome(
        self, request: task_service_pb2.SubmitTaskRequest, call: Call, submit: _Submit
    ) -> Task:
        async with self._attached(request, call, submit) as (slot, task):
            call.trailers.append((TASK_ID, to_text(task.id)))
            if not request.request_id:
                await call.context.send_initial_metadata(((TASK_ID, to_text(task.id)),))
            return await self._ended(slot, task, call, attachable=bool(request.request_id))

    @asynccontextmanager
    async def _attached(
        self, request: task_service_pb2.SubmitTaskRequest, call: Call, submit: _Submit
    ) -> AsyncIterator[tuple[Slot, Task]]:
        """The new task, or the one that the request id has made before, watched."""
        task_id = new_id()
        # Subscribed before it exists: the task may end before we could ask for it.
        async with self._hub.watch(task_id, terminal_only=True) as slot:
            accepted = await submit(request, call.owner, task_id)
            if accepted.task.id == task_id:
                slot.start_after(accepted.task.version)
                yield slot, accepted.task
                return
        async with self._hub.watch(accepted.task.id, terminal_only=True) as slot:
            task = await self._tasks.task(accepted.task.id, View.OUTCOME, owner=call.owner)
            slot.start_after(task.version)
            yield slot, task

    async def _submit(
        self, request: task_service_pb2.SubmitTaskRequest, owner: str, task_id: bytes
    ) -> Accepted:
        return await self._submitting.submit(request, owner=owner, task_id=task_id, input_path="")

    async def _ended(self, slot: Slot, task: Task, call: Call, *, attachable: bool) -> Task:
        if task.state.terminal:
            return task
        left = call.time_left_s()
        margin = 0.0 if left is None else min(_MARGIN_S, left / 10)
        timeout_s = min(_LONGEST_WAIT_S, _LONGEST_WAIT_S if left is None else left - margin)
        try:
            ended = await self._watching.until_ended(slot, timeout_s=timeout_s)
        except RequestError as error:
            error.metadata["taskId"] = to_text(task.id)
            raise
        if ended is None:
            raise _deadline_passed(task.id, attachable=attachable)
        return ended

    def _answer(self, task: Task) -> bytes:
        if task.state is State.SUCCEEDED and task.result is not None:
            return task.result.data
        if task.state is State.FAILED and task.failure is not None:
            status = self._messages.known_status(failure_status(task.failure))
            raise StatusError(_with_task_id(status, task.id))
        raise _not_done(task)

    def _cancel_later(self, submission: asyncio.Task[Accepted], owner: str) -> None:
        cancel = asyncio.create_task(self._cancel(submission, owner))
        self._cancels.add(cancel)
        cancel.add_done_callback(self._cancels.discard)

    async def _cancel(self, submission: asyncio.Task[Accepted], owner: str) -> None:
        try:
            task = (await submission).task
        except (RequestError, StoreUnavailable):
            return  # There is no task.
        reason = "The caller has gone."
        try:
            await self._cancelling.cancel(task.id, owner=owner, reason=reason)
        except (RequestError, StoreUnavailable):
            log.warning(
                "a task whose caller has gone was not cancelled", extra={"task": to_text(task.id)}
            )


def _request(
    task_type: TaskType, data: bytes, wishes: DurableMetadata
) -> task_service_pb2.SubmitTaskRequest:
    name = task_type.input_descriptor.full_name
    request = task_service_pb2.SubmitTaskRequest(
        type=task_type.name,
        input=Any(type_url=f"type.googleapis.com/{name}", value=data),
        request_id=wishes.request_id,
        labels=wishes.labels,
    )
    if wishes.delay is not None:
        set_duration(request.delay, wishes.delay)
    if wishes.priority is not None:
        request.overrides.priority = options_pb2.Priority.ValueType(wishes.priority)
    return request


def _with_task_id(status: status_pb2.Status, task_id: bytes) -> status_pb2.Status:
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            info.metadata["taskId"] = to_text(task_id)
            detail.Pack(info)
    return status


def _deadline_passed(task_id: bytes, *, attachable: bool) -> RequestError:
    # Without a request id another call is another task.
    ways = "Call again with the same request id, or watch it" if attachable else "Watch it"
    return RequestError(
        "DEADLINE_PASSED",
        f"Your deadline passed before the task ended; the task goes on. {ways} by its id.",
        code=Code.DEADLINE_EXCEEDED,
        metadata={"taskId": to_text(task_id)},
    )


def _not_done(task: Task) -> RequestError:
    metadata = {"taskId": to_text(task.id)}
    if task.state is State.EXPIRED:
        return RequestError(
            "TASK_EXPIRED",
            "The task did not start within its start_timeout and never will; call again.",
            code=Code.DEADLINE_EXCEEDED,
            metadata=metadata,
        )
    if task.state is State.CANCELLED:
        because = f": {task.cancel_reason}" if task.cancel_reason else "."
        return RequestError(
            "TASK_CANCELLED",
            f"The task was cancelled{because}",
            code=Code.CANCELLED,
            metadata=metadata,
        )
    raise AssertionError(f"the task ended as {task.state.name} without an outcome")
