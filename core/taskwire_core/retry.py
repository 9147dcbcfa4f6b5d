"""Retry arithmetic: what becomes of a task whose attempt has failed or was lost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from taskwire_core.options import RetryPolicy

MAX_CRASHES = 3
"""How many times a task may end a process it is alone in before it is poison."""

_US = timedelta(microseconds=1)


def backoff_us(policy: RetryPolicy, *, failures: int, chance: float) -> int:
    """How long to wait before the next attempt, in microseconds.

    `failures` attempts have failed (1 or more); the wait grows by `backoff_multiplier` from
    `initial_backoff` up to `max_backoff`. `chance` in [0, 1) spreads it by ± `jitter`.
    """
    initial = policy.initial_backoff / _US
    ceiling = policy.max_backoff / _US
    # The exponent is bounded first: multiplier ** 1000 does not fit into a float.
    exponent = min(failures - 1, 64)
    wait = min(initial * policy.backoff_multiplier**exponent, ceiling)
    return max(0, round(wait * (1 + policy.jitter * (2 * chance - 1))))


@dataclass(frozen=True, slots=True)
class Budget:
    """What a task has used of its attempts: `attempt` begun, `handed_back` of them for free."""

    attempt: int
    handed_back: int
    max_attempts: int
    total_deadline_us: int | None

    def allows_retry_at(self, when_us: int) -> bool:
        """Whether another attempt may begin at `when_us` (microseconds since 1970)."""
        if self.attempt - self.handed_back >= self.max_attempts:
            return False
        return self.total_deadline_us is None or when_us < self.total_deadline_us
