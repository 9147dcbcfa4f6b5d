"""The client: one channel to a gateway, and a method for everything that can be done with a task.

Nothing here knows more than the published contract. Every submission and every durable call
carries a request id, made up when none is given, so that gRPC may repeat it blindly.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import grpc
from google.protobuf import json_format
from google.protobuf.message import Message

from taskwire.client.broken import backoff_s
from taskwire.client.ended_tasks import EndedTasks
from taskwire.client.errors import CallFailed, Unreachable, call_failed, unanswered
from taskwire.client.many_tasks import ManyTasks
from taskwire.client.one_stream import SILENT_INTERVALS, Stream
from taskwire.client.task_lists import TaskLists
from taskwire.client.watching import TERMINAL_STATES, Event, Watch
from taskwire.submission import FollowUp, as_timedelta, require_message, submission, texts
from taskwire.v1 import options_pb2, task_pb2, task_service_pb2

Response = TypeVar("Response", bound=Message)

_LONGEST_WAIT_S = 50.0


def ended(task: task_pb2.Task) -> bool:
    """Whether the task is in a state that it never leaves."""
    return task.state in TERMINAL_STATES


class Client(EndedTasks, ManyTasks, TaskLists):
    """A connection to the gateway at `target` ("host:port"); close it, or use `with`.

    Without `credentials` the connection is not encrypted. `timeout_s` is the deadline of each
    short call. Every method raises `CallFailed`, and `Unreachable` when nobody answers.
    Methods may be called from several threads, `schema` from one at a time.
    """

    def submit(
        self,
        input: Message,
        *,
        type: str = "",
        request_id: str | None = None,
        labels: Mapping[str, str] | None = None,
        delay: timedelta | float | None = None,
        schedule_time: datetime | None = None,
        overrides: options_pb2.TaskOverrides | None = None,
        follow_ups: Sequence[FollowUp] = (),
        validate_only: bool = False,
        require_worker: bool = False,
    ) -> task_service_pb2.SubmitTaskResponse:
        """Submit a task with the input message `input`; an answer means that it is committed.

        `type` ("package.Service/Method") may be left out, since its input belongs to it alone.
        An aware `schedule_time` or a `delay` (seconds or timedelta) puts its start off. Submitting
        again with the same `request_id` and content returns the first task. `follow_ups` are
        submitted when it has ended.

        Raises:
            TypeError: `input` is no message, or a label is no text.
            ValueError: `schedule_time` has no time zone.
        """
        request = submission(
            input,
            type=type,
            labels=labels,
            delay=delay,
            schedule_time=schedule_time,
            overrides=overrides,
            follow_ups=follow_ups,
        )
        request.request_id = request_id or str(uuid.uuid4())
        request.validate_only = validate_only
        request.require_worker = require_worker
        return self._short(self._tasks.SubmitTask, request)

    def input_message(self, type: str, json: str = "{}") -> Message:
        """The input of the task type `type`, read from protobuf's JSON form.

        Its class comes from the server's reflection: no generated code is needed.

        Raises:
            UnknownName: the server has no such type.
            ValueError: `json` is not that message.
            TypeError: `json` is no text.
        """
        given: object = json
        if not isinstance(given, str | bytes):
            raise TypeError(
                f"json is a text, not {given.__class__.__name__}: write json.dumps(...)"
            )
        message = self.schema.message(self.schema.method(type).input_type.full_name)()
        try:
            json_format.Parse(json, message, descriptor_pool=self.schema.pool)
        except json_format.ParseError as error:
            raise ValueError(str(error)) from None
        return message

    def get(
        self, id: str, view: task_pb2.TaskView.ValueType = task_pb2.TASK_VIEW_FULL
    ) -> task_pb2.Task:
        """The task as it is now."""
        request = task_service_pb2.GetTaskRequest(id=id, view=view)
        return self._short(self._tasks.GetTask, request).task

    def wait(self, id: str, timeout_s: float | None = None) -> task_pb2.Task:
        """The task once it has ended, or as it is after `timeout_s` seconds (see `ended`).

        Server restarts in between are waited out. None waits as long as it takes.

        Raises:
            Unreachable: no server answered before the time-out.
        """
        give_up_at = time.monotonic() + (timeout_s if timeout_s is not None else float("inf"))
        failures = 0
        while True:
            left_s = max(0.0, give_up_at - time.monotonic())
            try:
                task = self._wait_once(id, min(left_s, _LONGEST_WAIT_S))
            except Unreachable as error:
                pause_s = backoff_s(failures, _asked_s(error))
                if pause_s >= left_s:
                    raise
                failures += 1
                time.sleep(pause_s)
                continue
            failures = 0
            if ended(task) or time.monotonic() >= give_up_at:
                return task

    def watch(
        self,
        id: str,
        *,
        after_version: int = 0,
        heartbeat_s: float = 15.0,
        view: task_pb2.TaskView.ValueType = task_pb2.TASK_VIEW_OUTCOME,
        on_interruption: Callable[[str], None] | None = None,
    ) -> Iterator[Event]:
        """What happens to the task, until its end: changes, progress, heartbeats.

        The task in its terminal state is always among them. Interruptions are waited out, for
        as long as it takes, and told to `on_interruption`. Closing the iterator ends the call.
        `heartbeat_s` is 5 to 60; twice and a half as much silence counts as an interruption.
        """

        def open_stream(version: int) -> Stream[Event]:
            request = task_service_pb2.WatchTaskRequest(id=id, after_version=version, view=view)
            request.heartbeat_interval.FromTimedelta(timedelta(seconds=heartbeat_s))
            # The service config would wait for a server in silence, and tell nobody.
            return self._tasks.WatchTask(request, wait_for_ready=False)

        return Watch(
            open_stream,
            after_version=after_version,
            silence_s=heartbeat_s * SILENT_INTERVALS,
            on_interruption=on_interruption,
        ).events()

    def cancel(self, id: str, reason: str = "") -> task_service_pb2.CancelTaskResponse:
        """Cancel the task; `effective` is false when it had already ended."""
        request = task_service_pb2.CancelTaskRequest(id=id, reason=reason)
        return self._short(self._tasks.CancelTask, request)

    def run(self, id: str) -> task_service_pb2.RunTaskResponse:
        """Make a waiting task due now; `effective` is false when it was due already."""
        return self._short(self._tasks.RunTask, task_service_pb2.RunTaskRequest(id=id))

    def types(self) -> Iterator[task_service_pb2.TaskType]:
        """Every task type of the server's contracts, by name."""
        request = task_service_pb2.ListTaskTypesRequest(page_size=1000)
        while True:
            page = self._short(self._tasks.ListTaskTypes, request)
            yield from page.task_types
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def call(
        self,
        type: str,
        request: Message,
        response_class: type[Response],
        *,
        request_id: str | None = None,
        labels: Mapping[str, str] | None = None,
        delay: timedelta | float | None = None,
        timeout_s: float | None = None,
    ) -> Response:
        """Call the task type as the RPC method that it is, and return its handler's answer.

        The call survives restarts of the gateway and of workers. When `timeout_s` passes the
        task goes on; a call with the same `request_id` attaches to it again.

        Raises:
            CallFailed: with the code and reason that the handler raised, among others.
            TypeError: `request` is no message, or a label is no text.
        """
        require_message(request)
        metadata = [("taskwire-request-id", request_id or str(uuid.uuid4()))]
        pairs = texts(labels or {}).items()
        metadata += [("taskwire-label", f"{key}={value}") for key, value in pairs]
        if delay is not None:
            metadata.append(("taskwire-delay", f"{as_timedelta(delay).total_seconds():.6f}s"))
        method: grpc.UnaryUnaryMultiCallable[Message, Response] = self.channel.unary_unary(
            f"/{type}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=response_class.FromString,
        )
        try:
            return method(request, metadata=tuple(metadata), timeout=timeout_s)
        except grpc.RpcError as error:
            raise call_failed(error, unanswered(timeout_s, self.target)) from None

    def _wait_once(self, id: str, seconds: float) -> task_pb2.Task:
        request = task_service_pb2.WaitTaskRequest(id=id)
        request.timeout.FromTimedelta(timedelta(seconds=seconds))
        return self._short(self._tasks.WaitTask, request, extra_s=seconds).task


def _asked_s(error: CallFailed) -> float:
    return error.retry_after.total_seconds() if error.retry_after else 0.0
