"""A task as callers see it: the core's facts turned into `taskwire.v1.Task`."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from google.protobuf import timestamp_pb2
from google.rpc import status_pb2

from taskwire.v1 import options_pb2, task_pb2, task_service_pb2
from taskwire_contracts import Contracts
from taskwire_contracts.conversion import options_message
from taskwire_core.failure import Failure
from taskwire_core.ids import to_text
from taskwire_core.lifecycle import State
from taskwire_core.options import TaskOptions
from taskwire_core.task import Attempt, Payload, Progress, Task, View
from taskwire_gateway.pending import pending_reason
from taskwire_gateway.queue_ports import PausedQueues
from taskwire_gateway.rpc.statuses import failure_status
from taskwire_gateway.use_cases.recording import Accepted
from taskwire_gateway.workers_alive import LiveWorkers

_TYPE_URL = "type.googleapis.com/"
_WITH_ERROR = frozenset({State.FAILED})


class TaskMessages:
    """Makes messages of tasks. `stack_traces` says whether the FULL view shows them."""

    def __init__(
        self,
        contracts: Contracts,
        workers: LiveWorkers,
        paused: PausedQueues,
        *,
        stack_traces: bool = False,
    ) -> None:
        self._contracts = contracts
        self._workers = workers
        self._paused = paused
        self._stack_traces = stack_traces

    def task(self, task: Task, view: View = View.OUTCOME) -> task_pb2.Task:
        """`task` in `view`, which must not be wider than the one it was read in."""
        message = task_pb2.Task(
            id=to_text(task.id) if task.id else "",
            type=task.type,
            owner=task.owner,
            state=task_pb2.TaskState.ValueType(task.state),
            version=task.version,
            attempt=task.attempt,
            options=_options(task.options),
            worker_id=to_text(task.worker_id) if task.worker_id is not None else "",
            cancel_requested=task.cancel_requested,
            cancel_reason=task.cancel_reason,
            retry_of=to_text(task.retry_of) if task.retry_of is not None else "",
            labels=task.labels,
            parent=to_text(task.parent) if task.parent is not None else "",
        )
        if not task.state.terminal:
            message.pending_reason = self.pending(task)
        if task.progress is not None:
            set_progress(message.progress, task.progress)
        _set_times(message, task)
        if view >= View.OUTCOME:
            self._set_outcome(message, task, view)
        if view == View.FULL:
            self._set_history(message, task)
        return message

    def submitted(self, answer: Accepted) -> task_service_pb2.SubmitTaskResponse:
        """What became of a submission."""
        return task_service_pb2.SubmitTaskResponse(
            task=self.task(answer.task),
            disposition=task_service_pb2.SubmitTaskResponse.Disposition.ValueType(
                answer.disposition
            ),
        )

    def pending(self, task: Task) -> task_pb2.PendingReason.ValueType:
        """Why `task` has not started, as far as this gateway knows at once."""
        reason = pending_reason(task, self._workers.known(), self._paused.known())
        return task_pb2.PendingReason.ValueType(reason)

    def error(self, failure: Failure, view: View) -> task_pb2.TaskError:
        """A failure; its stack trace only in the FULL view and where the operator allows it."""
        return task_pb2.TaskError(
            kind=task_pb2.TaskError.Kind.ValueType(failure.kind),
            status=failure_status(failure),
            type=failure.type,
            stack_trace=(failure.stack_trace if self._stack_traces and view == View.FULL else ""),
            retryable=failure.retryable,
        )

    def known_status(self, status: status_pb2.Status) -> status_pb2.Status:
        """`status` without the details that reflection could not explain to a client."""
        kept = [
            detail
            for detail in status.details
            if self._contracts.message_class(detail.type_url.rpartition("/")[2]) is not None
        ]
        return status_pb2.Status(code=status.code, message=status.message, details=kept)

    def _set_outcome(self, message: task_pb2.Task, task: Task, view: View) -> None:
        if task.result is not None:
            self._set_payload(message, "result", task.result)
        elif task.failure is not None and task.state in _WITH_ERROR:
            message.error.CopyFrom(self.error(task.failure, view))

    def _set_history(self, message: task_pb2.Task, task: Task) -> None:
        if task.input is not None:
            self._set_payload(message, "input", task.input)
        for attempt in task.attempts:
            self._add_attempt(message, attempt)

    def _set_payload(
        self, message: task_pb2.Task, field: Literal["input", "result"], payload: Payload
    ) -> None:
        # One Any of an unknown type makes buf curl and grpcurl fail on the whole response.
        if self._contracts.message_class(payload.type_name) is None:
            message.payload_unavailable = True
            return
        target = getattr(message, field)
        target.type_url = _TYPE_URL + payload.type_name
        target.value = payload.data

    def _add_attempt(self, message: task_pb2.Task, attempt: Attempt) -> None:
        added = message.attempts.add(number=attempt.number, worker_id=to_text(attempt.worker_id))
        set_time(added.start_time, attempt.start_time_us)
        if attempt.end_time_us is not None:
            set_time(added.end_time, attempt.end_time_us)
        if attempt.failure is not None:
            added.error.CopyFrom(self.error(attempt.failure, View.FULL))


def set_time(target: timestamp_pb2.Timestamp, time_us: int) -> None:
    """Write microseconds since 1970 into `target`."""
    target.seconds, rest = divmod(time_us, 1_000_000)
    target.nanos = rest * 1000


def set_progress(target: task_pb2.Progress, progress: Progress) -> None:
    """Write `progress` into `target`."""
    target.fraction = progress.fraction
    target.completed_units = progress.completed_units
    target.total_units = progress.total_units
    target.message = progress.message
    set_time(target.update_time, progress.update_time_us)


def view_of(view: int, default: View) -> View:
    """The view that a request asks for; `default` where it asks for none."""
    return View(view) if view else default


@lru_cache(maxsize=1024)
def _options(options: TaskOptions) -> options_pb2.TaskOptions:
    # Shared by all messages that are made with it: a message field is copied when it is set.
    return options_message(options)


def _set_times(message: task_pb2.Task, task: Task) -> None:
    set_time(message.create_time, task.create_time_us)
    set_time(message.schedule_time, task.schedule_time_us)
    set_time(message.update_time, task.update_time_us)
    if task.start_time_us is not None:
        set_time(message.start_time, task.start_time_us)
    if task.state is State.RETRYING:
        set_time(message.next_attempt_time, task.not_before_us)
    if task.end_time_us is not None:
        set_time(message.end_time, task.end_time_us)
    if task.delete_time_us is not None:
        set_time(message.delete_time, task.delete_time_us)
