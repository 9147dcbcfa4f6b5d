"""Submitting many tasks over any number of streams, each acknowledged once.

A stream that breaks is replaced by another one, on which everything that was not acknowledged is
sent again: its request id makes that harmless.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import grpc

from taskwire.client.broken import backoff_s, broken_by
from taskwire.v1 import task_service_pb2

Item = task_service_pb2.StreamSubmitTasksRequest
Acknowledgement = task_service_pb2.StreamSubmitTasksResponse


class Stream(Protocol):
    """What grpc returns for a call with streams in both directions."""

    def __iter__(self) -> Iterator[Acknowledgement]: ...

    def cancel(self) -> object: ...


Open = Callable[[Iterator[Item]], Stream]
"""Opens a stream that sends these."""


class SubmitStream:
    """`acknowledgements()` yields one for each of `items`, whose client_refs must differ."""

    def __init__(
        self,
        open_stream: Open,
        items: Iterable[Item],
        *,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._open = open_stream
        self._source = iter(items)
        self._pause = pause
        # grpc takes what is sent in a thread of its own, and that of a broken stream may still
        # be at it when the next one has begun.
        self._taking = threading.Lock()
        self._state = threading.Lock()
        self._unacknowledged: dict[str, Item] = {}
        self._to_send: deque[Item] = deque()
        self._streams = 0
        self._problem: Exception | None = None

    def acknowledgements(self) -> Iterator[Acknowledgement]:
        """In whatever order they come.

        Raises:
            CallFailed: an answer that another try would get again; and whatever `items` raises.
        """
        failures = 0
        while True:
            broken = None
            stream = self._open(self._outgoing())
            try:
                for answer in stream:
                    failures = 0
                    if self._is_first(answer.client_ref):
                        yield answer
            except grpc.RpcError as error:
                broken = broken_by(error)
            finally:
                stream.cancel()
            if self._problem is not None:
                raise self._problem
            if broken is None and not self._unacknowledged:
                return
            if broken is not None and broken.cause is not None and not broken.passing:
                raise broken.cause
            self._pause(backoff_s(failures, broken.retry_after_s if broken else 0.0))
            failures += 1

    def _is_first(self, ref: str) -> bool:
        with self._state:
            return self._unacknowledged.pop(ref, None) is not None

    def _outgoing(self) -> Iterator[Item]:
        """What the next stream sends: first what no stream before it had an answer to."""
        with self._state:
            self._streams += 1
            self._to_send = deque(self._unacknowledged.values())
            return self._items(self._streams)

    def _items(self, stream: int) -> Iterator[Item]:
        while True:
            try:
                item = self._again(stream) or self._new(stream)
            except Exception as problem:  # It is raised where the answers are read.
                self._problem = problem
                return
            if item is None:
                return
            yield item

    def _again(self, stream: int) -> Item | None:
        with self._state:
            return self._to_send.popleft() if self._to_send and stream == self._streams else None

    def _new(self, stream: int) -> Item | None:
        with self._taking:
            # The stream before may have left one while we waited.
            left = self._again(stream)
            if left is not None or stream != self._streams:
                return left
            item = next(self._source, None)
            if item is None:
                return None
            with self._state:
                self._unacknowledged[item.client_ref] = item
                if stream != self._streams:
                    self._to_send.append(item)
                    return None
            return item
