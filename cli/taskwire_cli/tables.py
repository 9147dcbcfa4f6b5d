"""What people see of tasks: words, short numbers and tables. Nothing here talks to a server."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Literal

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from taskwire.client import ended
from taskwire.v1 import task_pb2, task_service_pb2
from taskwire_cli.json_form import Json

_LONGEST_TEXT = 120
_WIDTH_OF_FILES = 240
_ENOUGH = 10_000

_COLOURS = {
    task_pb2.TASK_STATE_RUNNING: "cyan",
    task_pb2.TASK_STATE_RETRYING: "yellow",
    task_pb2.TASK_STATE_CANCELLING: "yellow",
    task_pb2.TASK_STATE_SUCCEEDED: "green",
    task_pb2.TASK_STATE_FAILED: "red",
    task_pb2.TASK_STATE_CANCELLED: "magenta",
    task_pb2.TASK_STATE_EXPIRED: "magenta",
}

_PENDING = {
    task_pb2.PENDING_REASON_DELAYED: "waits for its time",
    task_pb2.PENDING_REASON_BACKING_OFF: "waits for its next attempt",
    task_pb2.PENDING_REASON_AWAITING_DISPATCH: "waits to be dispatched",
    task_pb2.PENDING_REASON_AWAITING_WORKER: "waits for a free worker",
    task_pb2.PENDING_REASON_NO_WORKER: (
        "no live worker runs its type on its queue: start one, or see TASKWIRE_WORKER_QUEUES"
    ),
    task_pb2.PENDING_REASON_QUEUE_PAUSED: "its queue is paused",
    task_pb2.PENDING_REASON_RATE_LIMITED: "waits for a rate limit",
    task_pb2.PENDING_REASON_CONCURRENCY_LIMITED: "waits for a limit of tasks at the same time",
    task_pb2.PENDING_REASON_DEPENDENCY: "waits for other tasks",
}


class _Console(Console):
    def on_broken_pipe(self) -> None:
        # rich would end with the exit code 1, which says that a task has failed.
        raise BrokenPipeError


def console() -> Console:
    """Where people read: colours and width as the terminal has them; a file has neither.

    Much of what is printed was written by other people, so that nothing in it is a command.
    """
    width = None if sys.stdout.isatty() else _WIDTH_OF_FILES
    return _Console(markup=False, emoji=False, highlight=False, width=width)


def show(table: Table, on: Console | None = None) -> None:
    """Print `table`, wider than the terminal rather than with a name cut off."""
    to = on or console()
    needed = Measurement.get(to, to.options.update(max_width=_ENOUGH), table).minimum
    to.width = max(to.width, needed)
    to.print(table)


def state_name(state: task_pb2.TaskState.ValueType) -> str:
    """`RUNNING`; a number for a state that this version does not know."""
    known = state in task_pb2.TaskState.values()
    return task_pb2.TaskState.Name(state).removeprefix("TASK_STATE_") if known else str(state)


def state_text(state: task_pb2.TaskState.ValueType) -> Text:
    """The state's name in its colour."""
    return Text(state_name(state), style=_COLOURS.get(state, ""))


def pending_text(reason: task_pb2.PendingReason.ValueType) -> str:
    """Why a task has not started, in words; empty when it waits for nothing."""
    return _PENDING.get(reason, "")


def progress_text(progress: task_pb2.Progress) -> str:
    """`45 %  9 of 20  resizing`."""
    return f"{percent_text(progress.fraction)}  {units_text(progress)}".rstrip()


def percent_text(fraction: float) -> str:
    """`45 %`."""
    return f"{fraction:.0%}".replace("%", " %")


def units_text(progress: task_pb2.Progress) -> str:
    """`9 of 20  resizing`: what the handler counts, and what it says, on one line."""
    parts = []
    if progress.total_units:
        parts.append(f"{progress.completed_units:,} of {progress.total_units:,}")
    elif progress.completed_units:
        parts.append(f"{progress.completed_units:,}")
    if progress.message:
        parts.append(on_one_line(progress.message))
    return "  ".join(parts)


def on_one_line(text: str) -> str:
    """The text with a space for each character that would move a terminal's cursor."""
    return "".join(each if each.isprintable() else " " for each in text)


def add_row(table: Table, *cells: str | Text) -> None:
    """Add `cells` to `table`, each text on one line."""
    table.add_row(*(on_one_line(each) if isinstance(each, str) else each for each in cells))


def task_table(task: task_pb2.Task, shown: Json) -> Table:
    """The task as two columns; `shown` is its JSON form, for the payloads."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    for name, value in _rows(task, shown):
        add_row(table, name, value)
    return table


def types_table(types: Iterable[task_service_pb2.TaskType]) -> Table:
    """One row for each task type."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("TYPE", "QUEUE", "WORKERS", "ATTEMPTS", "TIME-OUT", "WHAT IT DOES"):
        right = heading in ("WORKERS", "ATTEMPTS")
        # A name is there to be copied: it may break the table, but not be cut.
        whole = heading in ("TYPE", "QUEUE")
        justify: Literal["left", "right"] = "right" if right else "left"
        table.add_column(heading, justify=justify, no_wrap=whole)
    for each in types:
        add_row(
            table,
            each.name,
            each.options.queue,
            str(each.live_workers),
            str(each.options.retry.max_attempts),
            duration_text(each.options.attempt_timeout),
            first_sentence(each.description),
        )
    return table


def duration_text(duration: Duration) -> str:
    """`1.5 s`, `10 min`, `2 h`, `7 d`: the largest unit that fits."""
    seconds = duration.seconds + duration.nanos / 1e9
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def first_sentence(comment: str) -> str:
    """The first sentence of a comment, on one line."""
    return " ".join(comment.split()).split(". ")[0].rstrip(".")


def time_text(timestamp: Timestamp) -> str:
    """Local date and time, to the second."""
    return _local(timestamp).strftime("%Y-%m-%d %H:%M:%S")


def clock_text(timestamp: Timestamp) -> str:
    """Local time of day, to the second."""
    return _local(timestamp).strftime("%H:%M:%S")


def shortened(value: object) -> object:
    """JSON with every long text cut, so that a picture does not fill the terminal."""
    if isinstance(value, dict):
        return {key: shortened(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shortened(each) for each in value]
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        return f"{value[:40]}… ({len(value):,} characters)"
    return value


def error_text(error: task_pb2.TaskError) -> str:
    """`INVALID_ARGUMENT DIVISION_BY_ZERO: The divisor is zero.`"""
    code = task_code_name(error.status.code)
    return f"{code} {_reason(error)}".rstrip() + f": {error.status.message}"


def task_code_name(number: int) -> str:
    """The name of a canonical status code."""
    from google.rpc import code_pb2

    return code_pb2.Code.Name(number) if number in code_pb2.Code.values() else str(number)


def _reason(error: task_pb2.TaskError) -> str:
    info = error_details_pb2.ErrorInfo()
    for detail in error.status.details:
        if detail.Unpack(info):
            return info.reason
    return ""


def _rows(task: task_pb2.Task, shown: Json) -> Iterator[tuple[str, str | Text]]:
    if task.id:
        yield "id", task.id
    yield "type", task.type
    yield "state", _state(task)
    if task.options.queue:
        yield "queue", task.options.queue
    if task.HasField("progress") and not ended(task):
        yield "progress", progress_text(task.progress)
    yield from _attempts(task)
    yield from _times(task)
    if task.labels:
        yield "labels", ", ".join(f"{key}={task.labels[key]}" for key in sorted(task.labels))
    if task.cancel_requested:
        cancelled = task.state == task_pb2.TASK_STATE_CANCELLED
        yield "cancelled" if cancelled else "cancel asked", task.cancel_reason or "on request"
    if task.parent:
        yield "parent", task.parent
    if task.retry_of:
        yield "retry of", task.retry_of
    yield from _outcome(task, shown)
    for planned in task.follow_ups:
        yield "follow-up", _follow_up(task, planned)


def _attempts(task: task_pb2.Task) -> Iterator[tuple[str, str | Text]]:
    if task.attempt:
        yield "attempt", f"{task.attempt} of {task.options.retry.max_attempts}"
    if task.worker_id:
        yield "worker", task.worker_id
    failures = [each.error for each in task.attempts if each.HasField("error")]
    if failures and not ended(task):
        yield "last error", Text(on_one_line(error_text(failures[-1])), style="red")


def _follow_up(task: task_pb2.Task, planned: task_pb2.PlannedFollowUp) -> str:
    known = planned.condition in task_pb2.FollowUpCondition.values()
    name = task_pb2.FollowUpCondition.Name(planned.condition) if known else str(planned.condition)
    when = name.removeprefix("FOLLOW_UP_CONDITION_").replace("_", " ").lower()
    # Follow-ups begin with the end of their task or never.
    never = f"(not begun: the task is {state_name(task.state)})" if ended(task) else ""
    return f"{when}: {planned.type}  {planned.task_id or never}".rstrip()


def _state(task: task_pb2.Task) -> Text:
    pending = pending_text(task.pending_reason)
    return state_text(task.state).append(f"  ({pending})" if pending else "", style="default")


def _times(task: task_pb2.Task) -> Iterator[tuple[str, str]]:
    for name, field in (
        ("submitted", "create_time"),
        ("scheduled for", "schedule_time"),
        ("started", "start_time"),
        ("next attempt", "next_attempt_time"),
        ("ended", "end_time"),
    ):
        if not task.HasField(field):  # type: ignore[arg-type]  # one of the names above
            continue
        if field != "schedule_time" or _was_scheduled(task):
            yield name, time_text(getattr(task, field))


def _was_scheduled(task: task_pb2.Task) -> bool:
    # What is due at once has two times too, that of the request and that of its record.
    return task.schedule_time.ToSeconds() > task.create_time.ToSeconds() + 1


def _outcome(task: task_pb2.Task, shown: Json) -> Iterator[tuple[str, str | Text]]:
    for field in ("input", "result"):
        if field in shown:
            payload = {key: each for key, each in shown[field].items() if key != "@type"}
            yield field, json.dumps(shortened(payload), ensure_ascii=False)
    if task.payload_unavailable:
        yield "payload", "left out: the server does not know its type any more"
    if task.HasField("error"):
        yield "error", Text(on_one_line(error_text(task.error)), style="red")
        if task.error.stack_trace:
            lines = task.error.stack_trace.rstrip().split("\n")
            yield "trace", Text("\n".join(map(on_one_line, lines)))


def _local(timestamp: Timestamp) -> datetime:
    return timestamp.ToDatetime(tzinfo=UTC).astimezone()
