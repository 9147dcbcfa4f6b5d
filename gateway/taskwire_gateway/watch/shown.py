"""What a watch of many tasks has shown to its client, as far as a bounded memory reaches.

It is needed for two things: no version is sent twice, and a task that leaves the filter, or is
deleted, is `removed` only if it was there. Where the memory was not enough, a task that may have
been shown counts as shown: a client ignores the removal of a task that it does not have.
"""

from __future__ import annotations

from taskwire_core.task import Task

MOST = 10_000
"""Some two megabytes for one watch."""


class Shown:
    """`complete` is False when more may have been shown than is remembered."""

    def __init__(self, *, complete: bool = True, most: int = MOST) -> None:
        self.complete = complete
        self._most = most
        self._live: dict[bytes, int] = {}
        self._ended: dict[bytes, None] = {}

    def note(self, task: Task) -> None:
        """This version is shown now; a version that has ended is the last one."""
        self._live.pop(task.id, None)
        self._make_room()
        if task.state.terminal:
            self._ended[task.id] = None
        else:
            self._live[task.id] = task.version

    def expect(self, task_id: bytes) -> None:
        """Some version was shown by an earlier stream of the same watch."""
        self._make_room()
        self._live[task_id] = 0

    def forget(self, task_id: bytes) -> None:
        """The task is not watched any more."""
        self._live.pop(task_id, None)
        self._ended.pop(task_id, None)

    def is_news(self, task: Task) -> bool:
        """Whether this version was not shown yet, as far as is known."""
        return task.id not in self._ended and self._live.get(task.id, -1) < task.version

    def may_have(self, task_id: bytes) -> bool:
        """Whether the client may have the task."""
        return not self.complete or task_id in self._live or task_id in self._ended

    def is_live(self, task_id: bytes) -> bool:
        """Whether the task was shown and had not ended, as far as is known."""
        return task_id in self._live

    def _make_room(self) -> None:
        if len(self._live) + len(self._ended) < self._most:
            return
        self.complete = False
        # The oldest goes; of what has ended first, since that changes no more.
        oldest: dict[bytes, None] | dict[bytes, int] = self._ended or self._live
        del oldest[next(iter(oldest))]
