"""A watched task on the screen: a line for each change, and one that moves with its progress.

Where the output is no terminal, such as a log, progress gets lines of its own instead.
"""

from __future__ import annotations

import json
from types import TracebackType

from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from taskwire.v1 import task_pb2
from taskwire_cli.json_form import Json
from taskwire_cli.tables import (
    clock_text,
    console,
    error_text,
    pending_text,
    progress_text,
    shortened,
    state_text,
)

_STATE_WIDTH = 11


class Screen:
    """What `taskwire watch` shows; a context manager, because a moving line must be put away."""

    def __init__(self) -> None:
        self._console = console()
        self._bar = Progress(
            TextColumn("         "),
            BarColumn(bar_width=30),
            TextColumn("{task.description}"),
            console=self._console,
            transient=True,
        )
        self._row = self._bar.add_task("", total=1.0, visible=False)
        self._waits_for = task_pb2.PENDING_REASON_UNSPECIFIED

    def __enter__(self) -> Screen:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._console.is_terminal:
            self._bar.stop()

    def changed(self, task: task_pb2.Task, shown: Json) -> None:
        """A line for the task's new state."""
        state = state_text(task.state)
        state.pad_right(_STATE_WIDTH - len(state))
        line = Text(f"{clock_text(task.update_time)}  ").append_text(state)
        self._console.print(line.append(_about(task, shown)))
        self._waits_for = task.pending_reason
        if task.state != task_pb2.TASK_STATE_RUNNING:
            self._bar.update(self._row, visible=False)
        elif task.HasField("progress"):
            self.progressed(task.progress)

    def progressed(self, progress: task_pb2.Progress) -> None:
        """Move the line, or print one."""
        text = progress_text(progress)
        if not self._console.is_terminal:
            self._console.print(f"{clock_text(progress.update_time)}  {text}")
        self._bar.update(self._row, completed=progress.fraction, description=text, visible=True)

    def waits(self, reason: task_pb2.PendingReason.ValueType) -> None:
        """A line when the task waits for something else than before."""
        if reason != self._waits_for and pending_text(reason):
            self._console.print(f"          {pending_text(reason)}")
        self._waits_for = reason

    def interrupted(self, problem: str) -> None:
        """A line that says why nothing moves."""
        self._console.print(f"          interrupted ({problem}); resuming", style="dim")


def _about(task: task_pb2.Task, shown: Json) -> str:
    if task.HasField("error"):
        return f"  {error_text(task.error)}"
    if "result" in shown:
        result = {key: each for key, each in shown["result"].items() if key != "@type"}
        return f"  {json.dumps(shortened(result), ensure_ascii=False)}"
    pending = pending_text(task.pending_reason)
    if pending:
        return f"  {pending}"
    return f"  attempt {task.attempt} of {task.options.retry.max_attempts}" if task.attempt else ""
