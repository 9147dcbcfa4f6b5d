"""Waiting for bulk operations: one look at those that work is for all who wait for any of them."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from taskwire_gateway.bulk_ports import BulkBook

POLL_S = 0.2


class BulkWaits:
    """Belongs to one event loop."""

    def __init__(self, book: BulkBook) -> None:
        self._book = book
        self._waiting: defaultdict[bytes, set[asyncio.Future[None]]] = defaultdict(set)
        self._looking: asyncio.Task[None] | None = None

    async def until_ended(self, operation_id: bytes, *, timeout_s: float) -> None:
        """Return when the operation works no more, or after `timeout_s` seconds.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        ended = asyncio.get_running_loop().create_future()
        self._waiting[operation_id].add(ended)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            await asyncio.wait({ended}, timeout=timeout_s)
            if ended.done():
                ended.result()
        finally:
            self._waiting[operation_id].discard(ended)
            if not self._waiting[operation_id]:
                del self._waiting[operation_id]

    async def _look(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(POLL_S)
                # Not those who come meanwhile: what is read may be older than their operation.
                asked = set(self._waiting)
                try:
                    working = {each.id for each in await self._book.running()}
                except Exception as error:  # It belongs to those who wait.
                    self._settle(asked, error)
                else:
                    self._settle(asked - working, None)
        finally:
            self._looking = None

    def _settle(self, operation_ids: set[bytes], error: Exception | None) -> None:
        for operation_id in operation_ids & self._waiting.keys():
            for ended in self._waiting[operation_id]:
                if ended.done():
                    continue
                if error is None:
                    ended.set_result(None)
                else:
                    ended.set_exception(error)
