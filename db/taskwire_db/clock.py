"""The clocks: the one place a stored time comes from.

Wall time is for what people see and schedule. Leases use a clock that no time step can move:
CLOCK_BOOTTIME together with the host's boot id. That serves the processes of one host, as
SQLite does; several hosts would each take the others' leases for ended.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """Where `now` comes from; tests inject their own."""

    boot: str
    """Names the run of the lease clock: leases of another boot have expired."""

    def now_us(self) -> int:
        """Wall time, microseconds since 1970."""

    def lease_us(self) -> int:
        """The lease clock, microseconds since an origin that `boot` names."""


class HostClock:
    """This host's clocks."""

    def __init__(self) -> None:
        self.boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def lease_us(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
