"""Which task types somebody runs now: read at most once a second, shared by all who ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from taskwire_core.errors import StoreUnavailable

FRESH_S = 1.0


class WorkerCounts(Protocol):
    """The part of the store that knows the workers."""

    async def live_workers(self) -> Mapping[str, int]:
        """How many live worker processes run each task type; raises StoreUnavailable."""


class LiveWorkers:
    """The counts as they were at most a second ago, for those who may be that wrong."""

    def __init__(
        self, store: WorkerCounts, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._monotonic = monotonic
        self._counts: Mapping[str, int] = {}
        self._read_at = float("-inf")
        self._reading: asyncio.Task[Mapping[str, int]] | None = None

    def known(self) -> Mapping[str, int]:
        """The counts as last read, at once; an old reading is refreshed behind the scenes."""
        if self._monotonic() - self._read_at > FRESH_S:
            self._begin()
        return self._counts

    async def now(self) -> Mapping[str, int]:
        """The counts as they are now; as last read when the store is away."""
        return await asyncio.shield(self._begin())

    def _begin(self) -> asyncio.Task[Mapping[str, int]]:
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        return self._reading

    async def _read(self) -> Mapping[str, int]:
        try:
            self._counts = await self._store.live_workers()
        except StoreUnavailable:
            pass  # The last reading is better than none; the next one will tell.
        finally:
            self._read_at = self._monotonic()
            self._reading = None
        return self._counts
