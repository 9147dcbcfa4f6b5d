"""Claimed tasks in line for a thread, and the threads that sleep until there is one.

To wake a thread costs more than a short task does, and all of them share one interpreter. So a
group wakes one thread, which goes on taking tasks without a pause while the others sleep. More
are woken while tasks wait although the interpreter is free, or each takes long: one, two, four,
and so on, until nothing waits or nobody sleeps.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence

from taskwire_core.task import Dispatch

_LOOK_S = 0.001
# Whoever looks later than this had to wait for the interpreter (its turns take 0.1 ms), or the
# host for a processor: one more thread would wait too.
_LATE_S = 0.0002
# Then only tasks that take longer than this have more threads woken.
_LONG_LOOK_S = 0.005


class Line:
    """`put`, `take` and `end` from any thread; `keep_moving` is the life of one."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._lock = threading.Lock()
        self._waiting: deque[Dispatch] = deque()
        # A lock for each sleeper. The last to fall asleep is woken first: its memory is still in
        # the processor's cache.
        self._asleep: list[threading.Lock] = []
        self._put = 0
        self._ended = False
        # Set when tasks wait for whom nobody was woken. Nobody falls asleep while tasks wait, so
        # that only `put` can bring this about.
        self._crowded = threading.Event()

    def put(self, dispatches: Sequence[Dispatch]) -> None:
        """Lets these wait behind all the others; does nothing after the end."""
        with self._lock:
            if self._ended:
                return
            first = not self._waiting
            self._waiting.extend(dispatches)
            self._put += len(dispatches)
            woken = self._wake(1) if first else 0
            if self._asleep and len(self._waiting) > woken:
                self._crowded.set()

    def take(self, bed: threading.Lock) -> Dispatch | None:
        """The first in line, as soon as there is one; None when the line has ended.

        `bed` is the calling thread's own lock, and locked: it sleeps until that is released.
        """
        while True:
            try:
                # Without our lock, since every task comes by here.
                return self._waiting.popleft()
            except IndexError:
                pass
            with self._lock:
                if self._ended:
                    return None
                if self._waiting:
                    continue
                self._asleep.append(bed)
            bed.acquire()

    def end(self) -> None:
        """Wakes everybody, and they get nothing more: what waits stays unbegun."""
        with self._lock:
            self._ended = True
            self._waiting.clear()
            self._wake(len(self._asleep))
            self._crowded.set()

    def keep_moving(self) -> None:
        """Wakes more threads whenever those awake are slow; returns at the end."""
        while not self._ended:
            self._crowded.wait()
            self._crowded.clear()
            self._look_while_tasks_wait()

    def _look_while_tasks_wait(self) -> None:
        look_s, woken, taken = _LOOK_S, 0, self._taken()
        while self._waiting and self._asleep:
            busy = _late_after(look_s)
            with self._lock:
                before, taken = taken, self._taken()
                slow = taken - before < self._threads - len(self._asleep)
                if not busy or (slow and look_s == _LONG_LOOK_S):
                    woken = self._wake(min(2 * woken or 1, len(self._waiting)))
                elif not slow:
                    woken = 0
            look_s = _LONG_LOOK_S if busy else _LOOK_S

    def _taken(self) -> int:
        return self._put - len(self._waiting)

    def _wake(self, most: int) -> int:
        count = min(most, len(self._asleep))
        for _ in range(count):
            self._asleep.pop().release()
        return count


def _late_after(seconds: float) -> bool:
    """Sleeps; whether it took longer than it should have, since the interpreter is busy."""
    until = time.monotonic() + seconds
    time.sleep(seconds)
    return time.monotonic() - until > _LATE_S
