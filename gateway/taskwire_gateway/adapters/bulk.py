"""Bulk operations in the database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from taskwire_core.bulk import BulkChunk, BulkOperation, BulkPreview, BulkScope, NewBulk
from taskwire_core.task import Task
from taskwire_db import bulk_reading as reading
from taskwire_db import operations as db
from taskwire_db.reader import Reader
from taskwire_db.writer import Writer

R = TypeVar("R")


class GatewayBulkStore:
    """See `BulkStore`.

    What looks for the tasks of a filter may read a million rows. It has threads of its own, one
    for callers and one for the leader: nobody who wants to know about one task waits behind it,
    and no operation behind the previews of others.
    """

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self._previews = ThreadPoolExecutor(1, thread_name_prefix="taskwire-previews")
        self._work = ThreadPoolExecutor(1, thread_name_prefix="taskwire-bulk")

    async def preview(self, scope: BulkScope, sample: int, *, within_s: float) -> BulkPreview:
        """See `BulkBook`."""
        return await _searched(
            self._previews, lambda: reading.preview(self._reader, scope, sample, within_s)
        )

    async def begin(self, new: NewBulk) -> BulkOperation | None:
        """See `BulkBook`."""
        return await self._writer.call(db.begin_bulk, new)

    async def get(self, operation_id: bytes, *, owner: str) -> BulkOperation | None:
        """See `BulkBook`."""
        return await self._reader.call(reading.bulk_by_id, operation_id, owner)

    async def page(self, *, owner: str, before: bytes, limit: int) -> list[BulkOperation]:
        """See `BulkBook`."""
        return await self._reader.call(reading.bulk_page, owner, before, limit)

    async def cancel(self, operation_id: bytes, *, owner: str) -> BulkOperation | None:
        """See `BulkBook`."""
        return await self._writer.call(db.cancel_bulk, (operation_id, owner))

    async def delete(self, operation_id: bytes, *, owner: str) -> BulkOperation | None:
        """See `BulkBook`."""
        return await self._writer.call(db.delete_bulk, (operation_id, owner))

    async def running(self) -> list[BulkOperation]:
        """See `BulkBook` and `BulkWork`."""
        return await self._reader.call(reading.running_bulks)

    async def next_tasks(self, bulk: BulkOperation, limit: int) -> tuple[list[bytes], bool]:
        """See `BulkWork`."""
        return await _searched(self._work, lambda: reading.next_tasks(self._reader, bulk, limit))

    async def with_input(self, ids: Sequence[bytes]) -> Mapping[bytes, Task]:
        """See `BulkWork`."""
        return await self._reader.call(reading.tasks_with_input, ids)

    async def advance(self, chunk: BulkChunk) -> BulkOperation | None:
        """See `BulkWork`."""
        return await self._writer.call(db.advance_bulk, chunk)

    async def forget(self, before_us: int) -> int:
        """See `BulkWork`."""
        return await self._writer.call(db.forget_bulk, before_us)


async def _searched(thread: ThreadPoolExecutor, search: Callable[[], R]) -> R:
    return await asyncio.get_running_loop().run_in_executor(thread, search)
