"""The dispatch window: how many tasks of a queue may wait in the broker at once.

A broker should hold what its workers take within some two seconds, so that priorities,
fairness and pauses, which act on the rows in SQL, act soon. Pure arithmetic, no I/O.
"""

from __future__ import annotations

SECONDS = 2.0
LEAST = 256
FIRST_RATE = 1_024.0
_WEIGHT = 0.5
"""Of the newest measurement in the rate."""


class Window:
    """One queue's window. `outstanding` are dispatched and not claimed, as far as is known."""

    def __init__(self) -> None:
        self._rate = FIRST_RATE
        self._counted = 0
        self._sent = 0

    @property
    def size(self) -> int:
        """How many may be outstanding."""
        return max(LEAST, round(self._rate * SECONDS))

    @property
    def room(self) -> int:
        """How many more may be sent now."""
        return max(0, self.size - self._counted - self._sent)

    @property
    def outstanding(self) -> int:
        """How many are dispatched and not claimed, as far as is known."""
        return self._counted + self._sent

    def sent(self, count: int = 1) -> None:
        """So many more are on their way."""
        self._sent += count

    def measured(self, outstanding: int, *, elapsed_s: float) -> None:
        """So many are outstanding in fact, `elapsed_s` after the last measurement."""
        claimed = max(0, self._counted + self._sent - outstanding)
        # An idle queue tells nothing about how fast it could be.
        if elapsed_s > 0 and (claimed or outstanding):
            self._rate += _WEIGHT * (claimed / elapsed_s - self._rate)
            if not outstanding:
                # Everything was claimed: the workers were at least that fast, maybe faster.
                self._rate = max(self._rate, FIRST_RATE)
        self._counted = outstanding
        self._sent = 0

    @property
    def idle(self) -> bool:
        """Whether nothing of this queue is known to be anywhere."""
        return not self._counted and not self._sent


class Windows:
    """The windows of all queues."""

    def __init__(self) -> None:
        self._windows: dict[str, Window] = {}

    def of(self, queue: str) -> Window:
        """The queue's window, a new one when it has none."""
        return self._windows.setdefault(queue, Window())

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Size and outstanding of each; asked from other threads."""
        return {queue: (w.size, w.outstanding) for queue, w in list(self._windows.items())}

    def any(self) -> bool:
        """Whether anything is known to be outstanding."""
        return any(not window.idle for window in self._windows.values())

    def measured(self, outstanding: dict[str, int], *, elapsed_s: float) -> None:
        """The truth for every queue; a queue that is not named has none outstanding."""
        for queue in outstanding.keys() - self._windows.keys():
            self._windows[queue] = Window()
        for queue, window in list(self._windows.items()):
            window.measured(outstanding.get(queue, 0), elapsed_s=elapsed_s)
            if window.idle:
                # Queue names come from callers' overrides: idle ones must not pile up.
                del self._windows[queue]
