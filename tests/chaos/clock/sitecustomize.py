"""A wall clock that is wrong: Python imports this at the start of each process that finds it.

The link `wall-clock` in the process's data folder leads to the number of seconds by which the
clock is ahead; a link is read by one call, and replaced as a whole. CLOCK_MONOTONIC and
CLOCK_BOOTTIME stay right, as they do when somebody sets a host's clock.
"""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Callable
from typing import Self

_LINK = os.path.join(os.environ.get("TASKWIRE_DATA_DIR", ""), "wall-clock")


def _ahead_s() -> int:
    try:
        return int(os.readlink(_LINK))
    except OSError:
        return 0


def _shifted(right: Callable[[], float]) -> Callable[[], float]:
    return lambda: right() + _ahead_s()


def _shifted_ns(right: Callable[[], int]) -> Callable[[], int]:
    return lambda: right() + _ahead_s() * 1_000_000_000


class _Datetime(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Self:
        return super().now(tz) + datetime.timedelta(seconds=_ahead_s())


time.time = _shifted(time.time)
time.time_ns = _shifted_ns(time.time_ns)
datetime.datetime = _Datetime  # type: ignore[misc]  # whoever asks for the class gets this one
