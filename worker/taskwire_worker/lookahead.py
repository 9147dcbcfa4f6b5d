"""How many tasks to claim beyond the free threads: what is done in a tenth of a second.

A claim costs a commit, so short tasks must be claimed in groups, ahead of the threads that
run them. Long tasks must not: they would wait here while another worker is idle. The rate of
completions tells the two apart, queue by queue.

The horizon is several times what a claim takes on a busy machine. With one that is shorter than
a claim the threads run dry at each, the rate falls, and so does the look-ahead that follows it.
"""

from __future__ import annotations

import threading

HORIZON_S = 0.1
MAX_LOOK_AHEAD = 256
"""More gain little, and all that a process holds when it dies is suspected of having ended it."""
_WINDOW_S = 0.1


class CompletionRate:
    """Completions per second, smoothed over some tenths of a second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._since = 0.0
        self._rate = 0.0

    def count(self) -> None:
        """One more task is done. Called per task: a lost increment is not worth a lock."""
        self._count += 1

    def per_second(self, now: float) -> float:
        """The rate at monotonic time `now` (seconds)."""
        with self._lock:
            elapsed = now - self._since
            if elapsed >= _WINDOW_S:
                self._roll(elapsed)
                self._since = now
            return self._rate

    def _roll(self, elapsed: float) -> None:
        fresh = self._count / elapsed
        # After a long pause the old rate says nothing any more.
        weight = 0.5 if elapsed < 4 * _WINDOW_S else 1.0
        self._rate += weight * (fresh - self._rate)
        self._count = 0


def look_ahead(rate_per_second: float) -> int:
    """How many tasks may wait here for a thread when so many end per second."""
    return min(MAX_LOOK_AHEAD, int(rate_per_second * HORIZON_S))


def may_claim(
    *,
    slots: int,
    held: int,
    waiting: int,
    queue_held: int,
    queue_waiting: int,
    queue_rate: float,
    total_rate: float,
    queues: int,
) -> int:
    """How many more tasks of one queue may be claimed now, 0 or more.

    The free slots of the process, plus the queue's own look-ahead. A queue that others keep
    from every slot gets its share all the same while tasks move quickly: what it claims then
    begins within a tenth of a second.
    """
    ahead = look_ahead(queue_rate)
    spare = slots - held
    if spare > 0:
        return spare + ahead
    room = max(0, ahead - queue_waiting)
    if waiting <= total_rate * 0.1 and total_rate > 0 and waiting > 0:
        room = max(room, max(1, slots // queues) - queue_held)
    return room
