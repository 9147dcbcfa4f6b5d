"""A client that writes down what it asks and what it is answered.

It wraps `taskwire.client`, and repeats nothing by itself but what that repeats. No method raises
for an answer: each returns the outcome that it has recorded, an Ok, a Fail or an Unknown.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Self, Unpack

import grpc
from google.protobuf.message import Message

from taskwire.client import CallFailed, Client
from taskwire.client.errors import call_failed
from taskwire.submission import SubmitOptions, submission
from taskwire.v1 import task_pb2, task_service_pb2_grpc
from taskwire.v1 import task_service_pb2 as pb
from tests.chaos.answers import told
from tests.chaos.outcomes import outcome, outcome_of_item
from tests.chaos.recorder import Recorder, now
from tests.chaos.records import Call, Invoke, Ok, Outcome, Told, digest
from tests.chaos.watch_recording import watch_one, watch_several

_ItemAnswer = pb.BatchSubmitTasksResponse.Result | pb.StreamSubmitTasksResponse

__all__ = ["Recorder", "RecordingClient"]


class RecordingClient:
    """A client of the gateway at `target`; from any number of threads, but `client.schema`."""

    def __init__(self, recorder: Recorder, target: str, *, timeout_s: float = 10.0) -> None:
        self.client = Client(target, timeout_s=timeout_s)
        self._recorder = recorder
        self._timeout_s = timeout_s
        self._tasks = task_service_pb2_grpc.TaskServiceStub(self.client.channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection and every call on it."""
        self.client.close()

    # What makes tasks. Every submission has a request id.

    def submit(
        self, input: Message, *, request_id: str = "", **options: Unpack[SubmitOptions]
    ) -> Outcome:
        """Submit one task."""
        request = submission(input, **options)
        request.request_id = request_id or str(uuid.uuid4())
        invoke = self._submitted("submit", request)

        def call() -> Ok:
            answer: pb.SubmitTaskResponse = self._tasks.SubmitTask(request, timeout=self._timeout_s)
            return self._ok(invoke.op, answer.task)

        return self._recorded(invoke, call)

    def submit_batch(
        self, requests: Sequence[pb.SubmitTaskRequest], *, allow_partial_success: bool = False
    ) -> list[Outcome]:
        """Submit all of `requests` in one call: all or none, or those that can be."""
        group = 0 if allow_partial_success else self._recorder.number()
        invokes = [self._submitted("batch", request, group) for request in requests]
        batch = pb.BatchSubmitTasksRequest(
            requests=requests, allow_partial_success=allow_partial_success
        )
        try:
            answer: pb.BatchSubmitTasksResponse = self._tasks.BatchSubmitTasks(
                batch, timeout=self._timeout_s
            )
        except grpc.RpcError as error:
            failed = call_failed(error)
            return [self._write(outcome(invoke.op, now(), "batch", failed)) for invoke in invokes]
        return [
            self._item(invoke, result)
            for invoke, result in zip(invokes, answer.results, strict=True)
        ]

    def submit_many(self, requests: Iterable[pb.SubmitTaskRequest]) -> Iterator[Outcome]:
        """Submit `requests` over a stream; the outcomes come in any order.

        Those that an error of the whole stream leaves without an outcome are unknown.
        """
        invokes: dict[str, Invoke] = {}

        def noted() -> Iterator[pb.SubmitTaskRequest]:
            for position, request in enumerate(requests):
                request.request_id = request.request_id or str(uuid.uuid4())
                invokes[str(position)] = self._submitted("stream", request)
                yield request

        try:
            for answer in self.client.submit_many(noted()):
                yield self._item(invokes.pop(answer.client_ref), answer)
        except CallFailed as error:
            for invoke in list(invokes.values()):
                yield self._write(outcome(invoke.op, now(), "stream", error))

    def call(
        self,
        type: str,
        input: Message,
        response_class: type[Message],
        *,
        request_id: str = "",
        timeout_s: float | None = None,
    ) -> Outcome:
        """Call a task type as the RPC method that it is, as an ordinary stub does."""
        request_id = request_id or str(uuid.uuid4())
        data = input.SerializeToString()
        invoke = self._invoke("durable", request_id=request_id, type=type, input=digest(data))
        method: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self.client.channel.unary_unary(
            f"/{type}"
        )

        def call() -> Ok:
            answer, details = method.with_call(
                data,
                metadata=(("taskwire-request-id", request_id),),
                timeout=timeout_s or self._timeout_s,
            )
            response_class.FromString(answer)
            trailers = dict(details.trailing_metadata())
            told = Told(str(trailers["taskwire-task-id"]), state="SUCCEEDED", result=digest(answer))
            return Ok(now(), invoke.op, told=(told,))

        return self._recorded(invoke, call)

    def retry(self, id: str, input: Message | None = None, *, request_id: str = "") -> Outcome:
        """Submit an ended task anew."""
        request_id = request_id or str(uuid.uuid4())
        changed = digest(input.SerializeToString()) if input is not None else ""
        invoke = self._invoke("retry", task_id=id, request_id=request_id, input=changed)
        return self._recorded(
            invoke,
            lambda: self._ok(invoke.op, self.client.retry(id, input, request_id=request_id)),
        )

    # What is done with tasks.

    def cancel(self, id: str, reason: str = "") -> Outcome:
        """Cancel a task."""
        invoke = self._invoke("cancel", task_id=id)

        def call() -> Ok:
            answer = self.client.cancel(id, reason)
            return self._ok(invoke.op, answer.task, effective=answer.effective)

        return self._recorded(invoke, call)

    def run(self, id: str) -> Outcome:
        """Make a waiting task due now."""
        invoke = self._invoke("run", task_id=id)

        def call() -> Ok:
            answer = self.client.run(id)
            return self._ok(invoke.op, answer.task, effective=answer.effective)

        return self._recorded(invoke, call)

    def delete(self, id: str) -> Outcome:
        """Delete an ended task."""
        invoke = self._invoke("delete", task_id=id)

        def call() -> Ok:
            self.client.delete(id)
            return self._ok(invoke.op)

        return self._recorded(invoke, call)

    def get(self, id: str) -> Outcome:
        """Read a task."""
        invoke = self._invoke("get", task_id=id)
        return self._recorded(invoke, lambda: self._ok(invoke.op, self.client.get(id)))

    def wait(self, id: str, timeout_s: float) -> Outcome:
        """Read a task once it has ended, or as it is after `timeout_s`."""
        invoke = self._invoke("get", task_id=id)
        return self._recorded(invoke, lambda: self._ok(invoke.op, self.client.wait(id, timeout_s)))

    def list_tasks(self, filter: str = "", *, most: int = 100) -> Outcome:
        """List the first tasks that match."""
        invoke = self._invoke("list")

        def call() -> Ok:
            request = pb.ListTasksRequest(
                filter=filter, page_size=most, view=task_pb2.TASK_VIEW_OUTCOME
            )
            answer: pb.ListTasksResponse = self._tasks.ListTasks(request, timeout=self._timeout_s)
            return self._ok(invoke.op, *answer.tasks)

        return self._recorded(invoke, call)

    def watch(
        self, id: str, *, after_version: int = 0, heartbeat_s: float = 5.0
    ) -> Iterator[pb.WatchTaskResponse]:
        """Follow a task to its end, recording what is shown; leave it as any iterator."""
        return watch_one(self._recorder, self.client, id, after_version, heartbeat_s)

    def watch_tasks(
        self, ids: Sequence[str] = (), *, filter: str = "", heartbeat_s: float = 5.0
    ) -> Iterator[pb.WatchTasksResponse]:
        """Follow tasks, recording what is shown; leave it as any iterator."""
        return watch_several(self._recorder, self.client, ids, filter, heartbeat_s)

    # How it is written down.

    def _invoke(
        self,
        call: Call,
        *,
        task_id: str = "",
        request_id: str = "",
        type: str = "",
        input: str = "",
        group: int = 0,
    ) -> Invoke:
        number = self._recorder.number()
        invoke = Invoke(now(), number, call, request_id, task_id, type, input, group)
        self._recorder.write(invoke)
        return invoke

    def _submitted(self, call: Call, request: pb.SubmitTaskRequest, group: int = 0) -> Invoke:
        return self._invoke(
            call,
            request_id=request.request_id,
            type=request.type,
            input=digest(request.input.value),
            group=group,
        )

    def _recorded(self, invoke: Invoke, call: Callable[[], Ok]) -> Outcome:
        try:
            found: Outcome = call()
        except CallFailed as error:
            found = outcome(invoke.op, now(), invoke.call, error)
        except grpc.RpcError as error:
            found = outcome(invoke.op, now(), invoke.call, call_failed(error))
        return self._write(found)

    def _item(
        self,
        invoke: Invoke,
        answer: pb.BatchSubmitTasksResponse.Result | pb.StreamSubmitTasksResponse,
    ) -> Outcome:
        if answer.HasField("ok"):
            return self._write(self._ok(invoke.op, answer.ok.task))
        return self._write(outcome_of_item(invoke.op, now(), invoke.call, answer.error))

    def _write(self, found: Outcome) -> Outcome:
        self._recorder.write(found)
        return found

    def _ok(self, op: int, *tasks: task_pb2.Task, effective: bool = True) -> Ok:
        return Ok(now(), op, told=tuple(told(task) for task in tasks), effective=effective)
