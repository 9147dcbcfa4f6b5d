"""Who runs what now: read at most once a second, shared by all who ask.

A worker runs a task when it has the type's handler and works on the task's queue: a task on a
queue that nobody works on has no worker, whoever has its handler.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from taskwire_core.errors import StoreUnavailable

FRESH_S = 1.0

Served = Mapping[tuple[str, str], int]
"""(queue, task type) → how many live worker processes run it there."""


class WorkerCounts(Protocol):
    """The part of the store that knows the workers."""

    async def live_workers(self) -> Served:
        """How many live worker processes run what; raises StoreUnavailable."""


class LiveWorkers:
    """The counts as they were at most a second ago, for those who may be that wrong."""

    def __init__(
        self, store: WorkerCounts, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._monotonic = monotonic
        self._counts: Served = {}
        self._read_at = float("-inf")
        self._reading: asyncio.Task[Served] | None = None

    def known(self) -> Served:
        """The counts as last read, at once; an old reading is refreshed behind the scenes."""
        if self._monotonic() - self._read_at > FRESH_S:
            self._begin()
        return self._counts

    async def now(self) -> Served:
        """The counts as they are now; as last read when the store is away."""
        return await asyncio.shield(self._begin())

    def _begin(self) -> asyncio.Task[Served]:
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        return self._reading

    async def _read(self) -> Served:
        try:
            self._counts = await self._store.live_workers()
        except StoreUnavailable:
            pass  # The last reading is better than none; the next one will tell.
        finally:
            self._read_at = self._monotonic()
            self._reading = None
        return self._counts
