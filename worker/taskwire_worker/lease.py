"""How long this process may believe that its tasks are its own.

The supervisor renews the lease and tells us when it has. Three quarters of the lease after
the last word from it, on the monotonic clock, we stop: others may run our tasks soon.
"""

from __future__ import annotations

import time
from typing import Protocol


class Lease(Protocol):
    """Whether this process still holds its tasks."""

    def alive(self) -> bool:
        """Whether work may be claimed and run now."""


class RenewedLease:
    """A lease that the supervisor renews."""

    def __init__(self, ttl_s: float) -> None:
        self._trusted_s = ttl_s * 0.75
        self._renewed_at = time.monotonic()

    def renewed(self, at: float) -> None:
        """The lease was renewed; the request for it was sent at monotonic time `at`."""
        self._renewed_at = max(self._renewed_at, at)

    def alive(self) -> bool:
        return time.monotonic() - self._renewed_at < self._trusted_s


class EndlessLease:
    """The lease of a process that no other can replace: the embedded one."""

    def alive(self) -> bool:
        return True
