"""Following one task over any number of streams, until its end.

A stream that breaks, ends without `closed`, or falls silent is replaced by another one that
goes on after the last version that was seen. Every stream that is left is cancelled: grpc
neither collects nor cancels an abandoned call by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from taskwire.client.broken import Broken, backoff_s
from taskwire.client.errors import CallFailed
from taskwire.client.one_stream import Stream, one_stream
from taskwire.v1 import task_pb2, task_service_pb2

Event = task_service_pb2.WatchTaskResponse


Open = Callable[[int], Stream[Event]]
"""Opens a stream after a version."""

TERMINAL_STATES = frozenset(
    {
        task_pb2.TASK_STATE_SUCCEEDED,
        task_pb2.TASK_STATE_FAILED,
        task_pb2.TASK_STATE_CANCELLED,
        task_pb2.TASK_STATE_EXPIRED,
    }
)


class Cursor:
    """Where a watch is: what it has seen, and how it goes on when a stream has broken."""

    def __init__(self, after_version: int) -> None:
        self.version = after_version
        self.task_ended = False
        """A terminal state never changes, so without the last word nothing is missing."""
        self._seen_here = False
        self._failures = 0

    def note(self, event: Event) -> bool:
        """Count an event as seen; it always is news."""
        self._failures = 0
        if event.HasField("task"):
            self.version = event.task.version
            self._seen_here = True
            self.task_ended = event.task.state in TERMINAL_STATES
        return True

    def pause_s(self, problem: Broken) -> float:
        """How long to wait before the next stream, which is to begin after `version`.

        Raises:
            CallFailed: an answer that another try would get again.
        """
        if problem.cause is not None and not problem.passing:
            self._begin_again_or_raise(problem.cause)
        self._failures += 1
        return backoff_s(self._failures - 1, problem.retry_after_s)

    def _begin_again_or_raise(self, cause: CallFailed) -> None:
        """After a restore of the server's database our cursor may be ahead of the task."""
        if cause.reason != "VERSION_AHEAD" or not self._seen_here:
            raise cause
        self.version = 0
        self._seen_here = False


class Watch:
    """One watch: `events()` yields what happens until the task's end."""

    def __init__(
        self,
        open_stream: Open,
        *,
        after_version: int,
        silence_s: float,
        on_interruption: Callable[[str], None] | None = None,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._open = open_stream
        self._cursor = Cursor(after_version)
        self._silence_s = silence_s
        self._on_interruption = on_interruption or (lambda _: None)
        self._pause = pause

    def events(self) -> Iterator[Event]:
        """Every message of a known kind but a `closed` that is not the end.

        Raises:
            CallFailed: an answer that another try would get again, such as NOT_FOUND.
        """
        cursor = self._cursor
        while True:
            stream = self._open(cursor.version)
            problem = yield from one_stream(stream, self._silence_s, cursor.note)
            if problem is None or cursor.task_ended:
                return
            pause_s = cursor.pause_s(problem)
            self._on_interruption(problem.text)
            self._pause(pause_s)
