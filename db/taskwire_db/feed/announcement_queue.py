"""What waits to be announced: bounded, the oldest dropped first, and never a caller waiting."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from enum import Enum, auto
from typing import NamedTuple

from taskwire_core.task import Deleted, ProgressRing, Task
from taskwire_db.feed.wire import result_bytes

MAX_ITEMS = 8192
MAX_RESULT_BYTES = 64 * 1024 * 1024


class Bell(Enum):
    """What rings for no task of its own."""

    CHANGES = auto()
    """The change log has grown."""


Item = Task | ProgressRing | Deleted | Bell


class Taken(NamedTuple):
    """What `take` gives: a batch, and whether nothing more will come."""

    items: list[Item]
    last: bool


class AnnouncementQueue:
    """Many threads put, one takes."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: deque[Item] = deque()
        self._result_bytes = 0
        self._closed = False
        self.dropped = 0
        """How many were never announced because the server was away or slow."""

    def put(self, items: Iterable[Item]) -> None:
        """Queue `items`; too many or too large a backlog loses its oldest."""
        with self._changed:
            if self._closed:
                return
            for item in items:
                self._items.append(item)
                self._result_bytes += _size(item)
            while len(self._items) > MAX_ITEMS or self._result_bytes > MAX_RESULT_BYTES:
                self._result_bytes -= _size(self._items.popleft())
                self.dropped += 1
            self._changed.notify()

    def take(self, most: int) -> Taken:
        """Wait for something, and take up to `most` of it; empty only when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed)
            count = min(most, len(self._items))
            items = [self._items.popleft() for _ in range(count)]
            self._result_bytes -= sum(map(_size, items))
            return Taken(items, last=self._closed and not self._items)

    def wait_for_close(self, timeout: float) -> bool:
        """Whether the queue is closed, after at most `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closed, timeout)

    def close(self) -> None:
        """Accept nothing more; what is queued can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def _size(item: Item) -> int:
    return result_bytes(item) if isinstance(item, Task) else 0
