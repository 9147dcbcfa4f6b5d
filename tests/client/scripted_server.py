"""A real gRPC server on a free port whose every answer is written by the test."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from taskwire.v1 import task_pb2, task_service_pb2

Context = Any  # grpc's ServicerContext, whose types differ between its stubs
Script = Callable[[Any, Context], Any]
Event = task_service_pb2.WatchTaskResponse

_SERVICE = "taskwire.v1.TaskService"
_REQUESTS = {
    "SubmitTask": task_service_pb2.SubmitTaskRequest,
    "GetTask": task_service_pb2.GetTaskRequest,
    "WaitTask": task_service_pb2.WaitTaskRequest,
    "WatchTask": task_service_pb2.WatchTaskRequest,
    "WatchTasks": task_service_pb2.WatchTasksRequest,
    "StreamSubmitTasks": task_service_pb2.StreamSubmitTasksRequest,
}


_SHAPES: dict[str, Callable[..., Any]] = {
    "WatchTask": grpc.unary_stream_rpc_method_handler,
    "WatchTasks": grpc.unary_stream_rpc_method_handler,
    "StreamSubmitTasks": grpc.stream_stream_rpc_method_handler,
}


class ScriptedServer:
    """Answers the n-th call of a method with its n-th script, and keeps what was asked.

    A script gets the request and the context; that of WatchTask is a generator, and so is that of
    StreamSubmitTasks, which gets an iterator of requests.
    """

    def __init__(self) -> None:
        self.requests: dict[str, list[Any]] = defaultdict(list)
        self.metadata: list[dict[str, str | bytes]] = []
        self.left: list[threading.Event] = []
        """One for each watch: set when the client has left it or it has ended."""
        self._scripts: dict[str, list[Script]] = defaultdict(list)
        self._server = grpc.server(futures.ThreadPoolExecutor(8))
        handlers: dict[str, Any] = {  # of several request types
            name: self._handler(name, request) for name, request in _REQUESTS.items()
        }
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(_SERVICE, handlers),)
        )
        self.target = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def will(self, method: str, *scripts: Script) -> None:
        """Answer the next calls of `method` with these."""
        self._scripts[method].extend(scripts)

    def close(self) -> None:
        """End every call."""
        self._server.stop(0).wait()

    def _handler(self, name: str, request: type[Message]) -> Any:  # grpc's generic handler
        streams = name in ("WatchTask", "WatchTasks")
        make = _SHAPES.get(name, grpc.unary_unary_rpc_method_handler)

        def answer(message: Any, context: Context) -> Any:  # whatever the script returns
            self.requests[name].append(message)
            self.metadata.append(dict(context.invocation_metadata()))
            if streams:
                left = threading.Event()
                self.left.append(left)
                context.add_callback(left.set)
            return self._scripts[name].pop(0)(message, context)

        return make(
            answer,
            request_deserializer=request.FromString,
            response_serializer=lambda response: response.SerializeToString(),
        )


def task(version: int, state: str = "RUNNING") -> task_pb2.Task:
    """A task with this version and state."""
    return task_pb2.Task(
        id="t", version=version, state=task_pb2.TaskState.Value(f"TASK_STATE_{state}")
    )


def changed(version: int, state: str = "RUNNING") -> Event:
    """A watch's message about it."""
    return Event(task=task(version, state))


def closed(reason: str = "TERMINAL") -> Event:
    """A watch's last message."""
    number = task_service_pb2.Closed.Reason.Value(f"REASON_{reason}")
    return Event(closed=task_service_pb2.Closed(reason=number))


def stream(*events: Event) -> Script:
    """A watch that sends these and ends with OK."""

    def script(request: Any, context: Context) -> Iterator[Event]:
        yield from events

    return script


def silent_after(*events: Event) -> Script:
    """A watch that sends these and then nothing, until the client leaves it."""

    def script(request: Any, context: Context) -> Iterator[Event]:
        yield from events
        gone = threading.Event()
        if context.add_callback(gone.set):
            gone.wait(30)

    return script


def breaks(
    code: grpc.StatusCode,
    *events: Event,
    reason: str = "",
    retry_after_s: float | None = None,
) -> Script:
    """A watch that sends these and ends with an error."""

    def watch(request: Any, context: Context) -> Iterator[Event]:
        yield from events
        abort(context, code, reason, retry_after_s)

    return watch


def refuses(code: grpc.StatusCode, reason: str = "") -> Script:
    """A unary call that ends with an error."""

    def script(request: Any, context: Context) -> None:
        abort(context, code, reason, None)

    return script


def answers(message: Message) -> Script:
    """A unary call that is answered with `message`."""
    return lambda request, context: message


def abort(
    context: Context, code: grpc.StatusCode, reason: str, retry_after_s: float | None
) -> None:
    """End the call with a status as taskwire makes them."""
    status = status_pb2.Status(code=code.value[0], message="as scripted")
    details: list[Message] = []
    if reason:
        details.append(error_details_pb2.ErrorInfo(reason=reason, domain="taskwire.dev"))
    if retry_after_s is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(int(retry_after_s * 1e9))
        details.append(retry)
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    context.abort_with_status(rpc_status.to_status(status))
