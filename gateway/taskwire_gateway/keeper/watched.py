"""A sweep with somebody told of how long it took and what it moved."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from taskwire_core.failpoints import ARMED, hit

Sweep = Callable[[], Awaitable[int]]

Observe = Callable[[str, int | None, float], None]
"""Told the sweep's name, what it moved (None: it failed) and the seconds that it took."""


def unobserved(_sweep: str, _moved: int | None, _seconds: float) -> None:
    """For keepers that nobody watches."""


def watched(name: str, sweep: Sweep, observe: Observe) -> Sweep:
    """`sweep`, with `observe` told of every run."""

    async def run() -> int:
        began = time.monotonic()
        try:
            if ARMED:
                hit("sweep.begun")
            moved = await sweep()
        except Exception:
            observe(name, None, time.monotonic() - began)
            raise
        observe(name, moved, time.monotonic() - began)
        return moved

    return run
