"""How many deliveries a consumer asks for at a time: many when work is short, few when long.

A fixed large number starves idle workers, since each hold-and-give-back hides up to that many
messages from them; a fixed small one costs a round trip per message. So the number starts at
the maximum, falls to what half a hold time can use whenever deliveries had to be given back,
and grows fourfold when a whole prefetch was claimed at once and slots were still free.
"""

from __future__ import annotations

MAX_PREFETCH = 1024
_GROWTH = 4


class Prefetch:
    """`size` is the number for the next `open`; times are seconds of a monotonic clock."""

    def __init__(self, *, hold: float, maximum: int = MAX_PREFETCH) -> None:
        self.size = maximum
        self._maximum = maximum
        self._hold = hold
        self._window_start = 0.0
        self._claimed = 0
        self._claimed_before = 0

    def claimed(self, count: int, *, free: int, now: float) -> bool:
        """Note a claim of `count` while `free` were allowed; whether to open again, wider."""
        if now - self._window_start >= self._hold:
            self._window_start = now
            self._claimed_before, self._claimed = self._claimed, 0
        self._claimed += count
        if count < self.size or free <= count or self.size == self._maximum:
            return False
        self.size = min(self.size * _GROWTH, self._maximum)
        return True

    def given_back(self) -> None:
        """Deliveries were held too long: ask for what half the hold time has used of late."""
        used = max(self._claimed, self._claimed_before)
        self.size = min(max(used // 2, 1), self._maximum)

    def at_least(self, free: int) -> int:
        """`size`, but enough to fill the `free` slots at once."""
        self.size = min(max(self.size, free, 1), self._maximum)
        return self.size
