"""One watcher's slot: only the newest of each kind waits in it, whatever the watcher's pace."""

from __future__ import annotations

import asyncio
from enum import IntEnum

from taskwire_core.task import ProgressRing, Task


class End(IntEnum):
    """Why a watch ends; the numbers are those of `taskwire.v1.Closed.Reason`."""

    TERMINAL = 1
    DELETED = 2
    SERVER_DRAINING = 3
    MAX_AGE = 4


class Slot:
    """Where the hub leaves what one watcher has not taken yet.

    `terminal_only` watchers wait for the end: transitions on the way are not read for them.
    """

    __slots__ = ("_end", "_event", "_progress", "_task", "seen", "task_id", "terminal_only")

    def __init__(self, task_id: bytes, *, terminal_only: bool) -> None:
        self.task_id = task_id
        self.terminal_only = terminal_only
        self.seen = 0
        """The greatest version that this watcher has or is about to take."""
        self._task: Task | None = None
        self._progress: ProgressRing | None = None
        self._end: End | None = None
        self._event = asyncio.Event()

    def put_task(self, task: Task) -> None:
        """Leave a newer state of the task; an older one is dropped."""
        if task.version <= self.seen:
            return
        self.seen = task.version
        if task.state.terminal or not self.terminal_only:
            self._task = task
            self._event.set()

    def start_after(self, version: int) -> None:
        """The watcher has got `version` by another way: what came meanwhile and is older goes."""
        self.seen = max(self.seen, version)
        if self._task is not None and self._task.version <= version:
            self._task = None
            self._settle()

    def put_progress(self, ring: ProgressRing) -> None:
        """Leave the newest progress."""
        if not self.terminal_only:
            self._progress = ring
            self._event.set()

    def put_end(self, end: End) -> None:
        """Leave the end; the first one stays."""
        self._end = self._end or end
        self._event.set()

    async def take(self, timeout_s: float) -> Task | ProgressRing | End | None:
        """The next thing for the watcher, transitions first; None after `timeout_s` of nothing."""
        if not self._event.is_set():
            try:
                async with asyncio.timeout(timeout_s):
                    await self._event.wait()
            except TimeoutError:
                return None
        return self._next()

    def _next(self) -> Task | ProgressRing | End | None:
        found: Task | ProgressRing | End | None
        if self._task is not None:
            found, self._task = self._task, None
        elif self._progress is not None:
            found, self._progress = self._progress, None
        else:
            found = self._end
        self._settle()
        return found

    def _settle(self) -> None:
        if self._task is None and self._progress is None and self._end is None:
            self._event.clear()
