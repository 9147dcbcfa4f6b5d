"""The clocks: the one place a stored time comes from.

Wall time is for what people see and schedule. Leases use a clock that no time step of a host
can move. SQLite serves the processes of one host: there it is CLOCK_BOOTTIME, together with the
host's boot id. PostgreSQL serves several hosts, whose clocks differ: there both are the
database's own clock, so that all of them judge a lease alike.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa


@dataclass(frozen=True, slots=True)
class Moment:
    """The times of one transaction; `boot` names the run of the lease clock."""

    now_us: int
    lease_us: int
    boot: str


class Clock(Protocol):
    """Where `now` comes from; tests inject their own."""

    def now_us(self) -> int:
        """Wall time as the store tells it, microseconds since 1970; asks nobody."""

    def moment(self, connection: sa.Connection) -> Moment:
        """The times that a transaction on `connection`, which has just begun, goes by.

        Leases of another `boot` than the moment's have expired.
        """


class HostClock:
    """This host's clocks."""

    def __init__(self) -> None:
        self._boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def moment(self, connection: sa.Connection) -> Moment:
        lease_us = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
        return Moment(self.now_us(), lease_us, self._boot)


_ASK = sa.text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")


class DatabaseClock:
    """PostgreSQL's clock, carried on between two looks at it by this host's monotonic one."""

    BOOT = "postgresql"
    """Its clock goes on over restarts, so that leases do too."""

    def __init__(self) -> None:
        self._ahead_us: int | None = None
        """How far the database's clock is ahead of the monotonic one, once it was asked."""

    def now_us(self) -> int:
        if self._ahead_us is None:  # Nobody has spoken to the database yet.
            return time.time_ns() // 1000
        return _monotonic_us() + self._ahead_us

    def moment(self, connection: sa.Connection) -> Moment:
        now_us: int = connection.execute(_ASK).scalar_one()
        # The answer has been on its way: what is carried on is a little late, and never early.
        self._ahead_us = now_us - _monotonic_us()
        return Moment(now_us, now_us, self.BOOT)


def _monotonic_us() -> int:
    return time.monotonic_ns() // 1000
