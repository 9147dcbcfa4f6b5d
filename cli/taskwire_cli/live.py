"""A watched task on the screen: a line for each change, and below them one that moves.

Where the output is no terminal, such as a log, progress gets lines of its own instead.
"""

from __future__ import annotations

import json
from types import TracebackType

from rich.console import Console
from rich.text import Text

from taskwire.v1 import task_pb2
from taskwire_cli.json_form import Json
from taskwire_cli.progress_line import ProgressLine
from taskwire_cli.tables import (
    clock_text,
    console,
    error_text,
    on_one_line,
    pending_text,
    progress_text,
    shortened,
    state_text,
)

_STATE_WIDTH = 11


class Screen:
    """What `taskwire watch` shows; a context manager, because a moving line must be put away."""

    def __init__(self, on: Console | None = None) -> None:
        self._console = on or console()
        self._line = ProgressLine(self._console) if self._console.is_terminal else None
        self._waits_for = task_pb2.PENDING_REASON_UNSPECIFIED

    def __enter__(self) -> Screen:
        if self._line is not None:
            self._line.start()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._line is not None:
            self._line.stop()

    def changed(self, task: task_pb2.Task, shown: Json) -> None:
        """A line for the task's new state."""
        if self._line is not None:
            self._line.changed(task)
        state = state_text(task.state)
        state.pad_right(_STATE_WIDTH - len(state))
        line = Text(f"{clock_text(task.update_time)}  ").append_text(state)
        self._console.print(line.append(on_one_line(about(task, shown))))
        self._waits_for = task.pending_reason
        running = task.state == task_pb2.TASK_STATE_RUNNING
        if self._line is None and running and task.HasField("progress"):
            self.progressed(task.progress)

    def progressed(self, progress: task_pb2.Progress) -> None:
        """Move the line, or print one."""
        if self._line is not None:
            self._line.progressed(progress)
        else:
            self._say(f"{clock_text(progress.update_time)}  {progress_text(progress)}")

    def waits(self, reason: task_pb2.PendingReason.ValueType) -> None:
        """A line when the task waits for something else than before."""
        if reason != self._waits_for and pending_text(reason):
            self._say(f"          {pending_text(reason)}")
        self._waits_for = reason

    def say(self, line: str) -> None:
        """A line about the watch itself, such as why nothing moves."""
        self._say(f"          {line}", style="dim")

    def _say(self, line: str, style: str = "") -> None:
        # As text: what other programs say may look like rich's markup.
        self._console.print(Text(on_one_line(line), style=style))


def about(task: task_pb2.Task, shown: Json) -> str:
    """What there is to say of the task beside its state, after two blanks."""
    if task.HasField("error"):
        return f"  {error_text(task.error)}"
    if "result" in shown:
        result = {key: each for key, each in shown["result"].items() if key != "@type"}
        return f"  {json.dumps(shortened(result), ensure_ascii=False)}"
    pending = pending_text(task.pending_reason)
    if pending:
        return f"  {pending}"
    return f"  attempt {task.attempt} of {task.options.retry.max_attempts}" if task.attempt else ""
