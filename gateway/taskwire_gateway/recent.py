"""Something that is read at most once a second and shared by all who may be that wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from taskwire_core.errors import StoreUnavailable

FRESH_S = 1.0

T = TypeVar("T")


class Recent(Generic[T]):
    """What `read` answered last; `first` until it has answered."""

    def __init__(
        self,
        read: Callable[[], Awaitable[T]],
        first: T,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read_it = read
        self._monotonic = monotonic
        self._found = first
        self._read_at = float("-inf")
        self._reading: asyncio.Task[T] | None = None

    def known(self) -> T:
        """It as last read, at once; an old reading is refreshed behind the scenes."""
        if self._monotonic() - self._read_at > FRESH_S:
            self._begin()
        return self._found

    async def now(self) -> T:
        """It as it is now; as last read when the store is away."""
        return await asyncio.shield(self._begin())

    async def anew(self) -> T:
        """It as it is now, which what is being read already may not be."""
        if self._reading is not None:
            await asyncio.shield(self._reading)
        return await self.now()

    def _begin(self) -> asyncio.Task[T]:
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        return self._reading

    async def _read(self) -> T:
        try:
            self._found = await self._read_it()
        except StoreUnavailable:
            pass  # The last reading is better than none; the next one will tell.
        finally:
            self._read_at = self._monotonic()
            self._reading = None
        return self._found
