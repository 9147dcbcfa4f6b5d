"""A task as callers see it: the core's facts turned into `taskwire.v1.Task`."""

from __future__ import annotations

from typing import Literal

from google.rpc import status_pb2

from taskwire.submission import TYPE_URL
from taskwire.v1 import task_pb2, task_service_pb2
from taskwire_contracts import Contracts
from taskwire_contracts.task_message import set_time, task_error, write_basic_task
from taskwire_core.failure import Failure
from taskwire_core.ids import to_text
from taskwire_core.lifecycle import State
from taskwire_core.task import Attempt, Payload, Progress, Task, View
from taskwire_gateway.pending import pending_reason
from taskwire_gateway.queue_ports import PausedQueues
from taskwire_gateway.use_cases.recording import Accepted
from taskwire_gateway.workers_alive import LiveWorkers

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
        message = task_pb2.Task()
        self._write(message, task, view)
        return message

    def write_submitted(
        self,
        message: task_service_pb2.SubmitTaskResponse,
        answer: Accepted,
        view: View = View.BASIC,
    ) -> None:
        """Write what became of a submission into `message`, wherever that is: a copy of it would
        cost half as much again."""
        self._write(message.task, answer.task, view)
        message.disposition = task_service_pb2.SubmitTaskResponse.Disposition.ValueType(
            answer.disposition
        )

    def pending(self, task: Task) -> task_pb2.PendingReason.ValueType:
        """Why `task` has not started, as far as this gateway knows at once."""
        reason = pending_reason(task, self._workers.known(), self._paused.known())
        return task_pb2.PendingReason.ValueType(reason)

    def error(self, failure: Failure, view: View) -> task_pb2.TaskError:
        """A failure; its stack trace only in the FULL view and where the operator allows it."""
        shown = self._stack_traces and view == View.FULL
        return task_error(failure, stack_trace=failure.stack_trace if shown else "")

    def known_status(self, status: status_pb2.Status) -> status_pb2.Status:
        """`status` without the details that reflection could not explain to a client."""
        kept = [
            detail
            for detail in status.details
            if self._contracts.message_class(detail.type_url.rpartition("/")[2]) is not None
        ]
        return status_pb2.Status(code=status.code, message=status.message, details=kept)

    def _write(self, message: task_pb2.Task, task: Task, view: View) -> None:
        write_basic_task(message, task)
        if not task.state.terminal:
            message.pending_reason = self.pending(task)
        if task.progress is not None:
            set_progress(message.progress, task.progress)
        if view >= View.OUTCOME:
            self._set_outcome(message, task, view)
        if view == View.FULL:
            self._set_history(message, task)

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
        for planned in task.follow_ups:
            message.follow_ups.add(
                condition=task_pb2.FollowUpCondition.ValueType(planned.condition),
                type=planned.type,
                task_id=to_text(planned.task_id) if planned.task_id is not None else "",
            )

    def _set_payload(
        self, message: task_pb2.Task, field: Literal["input", "result"], payload: Payload
    ) -> None:
        # One Any of an unknown type makes buf curl and grpcurl fail on the whole response.
        if self._contracts.message_class(payload.type_name) is None:
            message.payload_unavailable = True
            return
        target = getattr(message, field)
        target.type_url = TYPE_URL + payload.type_name
        target.value = payload.data

    def _add_attempt(self, message: task_pb2.Task, attempt: Attempt) -> None:
        added = message.attempts.add(number=attempt.number, worker_id=to_text(attempt.worker_id))
        set_time(added.start_time, attempt.start_time_us)
        if attempt.end_time_us is not None:
            set_time(added.end_time, attempt.end_time_us)
        if attempt.failure is not None:
            added.error.CopyFrom(self.error(attempt.failure, View.FULL))


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
