"""The line at the bottom of the terminal that moves while an attempt runs."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from taskwire.v1 import task_pb2
from taskwire_cli.tables import percent_text, units_text

_INDENT = " " * 10


class ProgressLine:
    """A bar, the attempt and how long it has run, and what its handler says of its work.

    `start` and `stop` it; in between it is only seen while an attempt runs. Until the first
    report the bar swings to and fro: it runs, and nobody knows how far it is.
    """

    def __init__(self, console: Console) -> None:
        # A handler's words are no markup, and they give way when the terminal is narrow.
        words = Column(no_wrap=True, overflow="ellipsis", ratio=1)
        self._line = Progress(
            TextColumn(_INDENT),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[percent]} ", markup=False),
            TimeElapsedColumn(),
            TextColumn(" {task.fields[attempt]}", markup=False),
            TextColumn(" {task.description}", markup=False, table_column=words),
            console=console,
            transient=True,
            expand=True,
        )
        self._row: TaskID | None = None
        self._attempt = 0

    def start(self) -> None:
        """Begin to draw."""
        self._line.start()

    def stop(self) -> None:
        """Take the line away."""
        self._line.stop()

    def changed(self, task: task_pb2.Task) -> None:
        """Show the attempt that has begun; show nothing when none runs."""
        running = task.state in (task_pb2.TASK_STATE_RUNNING, task_pb2.TASK_STATE_CANCELLING)
        if self._row is not None and not (running and task.attempt == self._attempt):
            self._line.remove_task(self._row)
            self._row = None
        if running and self._row is None:
            self._begin(task)
        self._line.refresh()

    def progressed(self, progress: task_pb2.Progress) -> None:
        """Move; a report that is late, of an attempt that has ended, changes nothing."""
        if self._row is not None:
            self._line.update(
                self._row,
                total=1.0,
                completed=progress.fraction,
                percent=percent_text(progress.fraction),
                description=units_text(progress),
                refresh=True,
            )

    def _begin(self, task: task_pb2.Task) -> None:
        self._attempt = task.attempt
        attempt = f"attempt {task.attempt} of {task.options.retry.max_attempts}"
        self._row = self._line.add_task("", total=None, percent="", attempt=attempt)
        # It may have begun long before somebody looked.
        age_s = max(0.0, time.time() - task.update_time.ToNanoseconds() / 1e9)
        (row,) = self._line.tasks
        row.start_time = self._line.get_time() - age_s
        if task.HasField("progress"):
            self.progressed(task.progress)
