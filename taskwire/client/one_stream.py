"""One stream of a watch: its events until it ends, breaks or falls silent.

Every stream that is left is cancelled: grpc neither collects nor cancels an abandoned call by
itself.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Protocol, TypeVar

import grpc

from taskwire.client.broken import Broken, broken_by
from taskwire.v1 import task_service_pb2

Event = TypeVar("Event", task_service_pb2.WatchTaskResponse, task_service_pb2.WatchTasksResponse)
Event_co = TypeVar("Event_co", covariant=True)


class Stream(Protocol[Event_co]):
    """What grpc returns for a call that is answered with a stream."""

    def __iter__(self) -> Iterator[Event_co]: ...

    def cancel(self) -> object: ...


SILENT_INTERVALS = 2.5
"""A stream is given up after this many heartbeat intervals without a message."""

FINAL_REASONS = (
    task_service_pb2.Closed.REASON_TERMINAL,
    task_service_pb2.Closed.REASON_DELETED,
)
"""Why a watch is over. For any other reason only its stream is."""


def one_stream(
    stream: Stream[Event], silence_s: float, note: Callable[[Event], bool]
) -> Generator[Event, None, Broken | None]:
    """Every event of a known kind but a `closed` that is not the end.

    Each is noted first, and left out when `note` says that it is no news.

    Returns None at the watch's end, else what broke the stream.
    """
    guard = SilenceGuard(stream.cancel, silence_s)
    try:
        for event in stream:
            guard.hold()
            kind = event.WhichOneof("kind")
            if kind == "closed" and event.closed.reason not in FINAL_REASONS:
                return Broken("the server is about to end the stream")
            if kind is not None and note(event):
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
