"""Following one task over any number of streams, until its end.

A stream that breaks, ends without `closed`, or falls silent is replaced by another one that
goes on after the last version that was seen. Every stream that is left is cancelled: grpc
neither collects nor cancels an abandoned call by itself.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Protocol

import grpc

from taskwire.client.broken import Broken, backoff_s, broken_by
from taskwire.client.errors import CallFailed
from taskwire.v1 import task_pb2, task_service_pb2

Event = task_service_pb2.WatchTaskResponse


class Stream(Protocol):
    """What grpc returns for a call that is answered with a stream."""

    def __iter__(self) -> Iterator[Event]: ...

    def cancel(self) -> object: ...


Open = Callable[[int], Stream]
"""Opens a stream after a version."""

SILENT_INTERVALS = 2.5
"""A stream is given up after this many heartbeat intervals without a message."""

TERMINAL_STATES = frozenset(
    {
        task_pb2.TASK_STATE_SUCCEEDED,
        task_pb2.TASK_STATE_FAILED,
        task_pb2.TASK_STATE_CANCELLED,
        task_pb2.TASK_STATE_EXPIRED,
    }
)

_FINAL_REASONS = (
    task_service_pb2.Closed.REASON_TERMINAL,
    task_service_pb2.Closed.REASON_DELETED,
)


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
        self._silence_s = silence_s
        self._on_interruption = on_interruption or (lambda _: None)
        self._pause = pause
        self._version = after_version
        self._seen_here = False
        self._task_ended = False
        self._failures = 0

    def events(self) -> Iterator[Event]:
        """Every message of a known kind but a `closed` that is not the end.

        Raises:
            CallFailed: an answer that another try would get again, such as NOT_FOUND.
        """
        while True:
            problem = yield from self._one_stream()
            # A terminal state never changes, so without the last word nothing is missing.
            if problem is None or self._task_ended:
                return
            self._recover(problem)

    def _one_stream(self) -> Generator[Event, None, Broken | None]:
        """One stream's events; returns None at the watch's end, else what broke the stream."""
        stream = self._open(self._version)
        guard = SilenceGuard(stream.cancel, self._silence_s)
        try:
            for event in stream:
                guard.hold()
                kind = event.WhichOneof("kind")
                if kind == "closed" and event.closed.reason not in _FINAL_REASONS:
                    return Broken("the server is about to end the stream")
                if kind is not None:
                    self._note(event)
                    yield event
                if kind == "closed":
                    return None
                guard.heard()
            return Broken("the stream ended too early")
        except grpc.RpcError as error:
            return Broken("the stream was silent") if guard.expired else broken_by(error)
        finally:
            guard.stop()
            stream.cancel()

    def _note(self, event: Event) -> None:
        self._failures = 0
        if event.WhichOneof("kind") == "task":
            self._version = event.task.version
            self._seen_here = True
            self._task_ended = event.task.state in TERMINAL_STATES

    def _recover(self, problem: Broken) -> None:
        if problem.cause is not None and not problem.passing:
            self._begin_again_or_raise(problem.cause)
        self._on_interruption(problem.text)
        self._pause(backoff_s(self._failures, problem.retry_after_s))
        self._failures += 1

    def _begin_again_or_raise(self, cause: CallFailed) -> None:
        """After a restore of the server's database our cursor may be ahead of the task."""
        if cause.reason != "VERSION_AHEAD" or not self._seen_here:
            raise cause
        self._version = 0
        self._seen_here = False


class SilenceGuard:
    """Calls `give_up` once nothing was heard for `limit_s` seconds.

    A thread of its own, because a blocked read of a synchronous stream has no time-out.
    """

    def __init__(self, give_up: Callable[[], object], limit_s: float) -> None:
        self.expired = False
        self._give_up = give_up
        self._limit_s = limit_s
        self._heard_at = time.monotonic()
        self._stopped = threading.Event()
        threading.Thread(target=self._run, name="taskwire-watch", daemon=True).start()

    def heard(self) -> None:
        """Count the silence from now on."""
        self._heard_at = time.monotonic()

    def hold(self) -> None:
        """Count nothing until `heard`: the reader is busy, and the stream is not to blame."""
        self._heard_at = math.inf

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(min(max(0.0, self._left_s()), self._limit_s)):
            if self._left_s() <= 0:
                self.expired = True
                self._give_up()
                return

    def _left_s(self) -> float:
        return self._heard_at + self._limit_s - time.monotonic()
