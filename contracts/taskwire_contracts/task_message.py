"""A task in its protobuf form, as far as it depends on nothing but the task itself.

What a gateway adds is in its own room: why a task waits, and which payloads it can explain.
"""

from __future__ import annotations

from functools import lru_cache

from google.protobuf import timestamp_pb2

from taskwire.submission import TYPE_URL
from taskwire.v1 import options_pb2, task_pb2
from taskwire_contracts.conversion import options_message
from taskwire_contracts.statuses import failure_status
from taskwire_core.failure import Failure
from taskwire_core.ids import to_text
from taskwire_core.lifecycle import State
from taskwire_core.options import TaskOptions
from taskwire_core.task import Task


def ended_task(task: Task) -> task_pb2.Task:
    """An ended task in the OUTCOME view."""
    message = task_pb2.Task()
    write_basic_task(message, task)
    if task.result is not None:
        message.result.type_url = TYPE_URL + task.result.type_name
        message.result.value = task.result.data
    elif task.failure is not None:
        message.error.CopyFrom(task_error(task.failure))
    return message


def write_basic_task(message: task_pb2.Task, task: Task) -> None:
    """Write `task` in the BASIC view into an empty `message`, but for why it waits and its
    progress."""
    if task.id:  # One that was only validated has none.
        message.id = to_text(task.id)
    message.type = task.type
    message.owner = task.owner
    message.state = task_pb2.TaskState.ValueType(task.state)
    message.version = task.version
    message.attempt = task.attempt
    message.options.CopyFrom(_options(task.options))
    message.cancel_requested = task.cancel_requested
    message.cancel_reason = task.cancel_reason
    # Most tasks have none of these, and to set an empty map costs as much as all of the above.
    if task.worker_id:
        message.worker_id = to_text(task.worker_id)
    if task.retry_of:
        message.retry_of = to_text(task.retry_of)
    if task.parent:
        message.parent = to_text(task.parent)
    if task.labels:
        message.labels.update(task.labels)
    _set_times(message, task)


def task_error(failure: Failure, *, stack_trace: str = "") -> task_pb2.TaskError:
    """A failure, with this stack trace."""
    return task_pb2.TaskError(
        kind=task_pb2.TaskError.Kind.ValueType(failure.kind),
        status=failure_status(failure),
        type=failure.type,
        stack_trace=stack_trace,
        retryable=failure.retryable,
    )


def set_time(target: timestamp_pb2.Timestamp, time_us: int) -> None:
    """Write microseconds since 1970 into `target`."""
    target.seconds, rest = divmod(time_us, 1_000_000)
    target.nanos = rest * 1000


@lru_cache(maxsize=1024)
def _options(options: TaskOptions) -> options_pb2.TaskOptions:
    # Shared by all messages, which copy it.
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
