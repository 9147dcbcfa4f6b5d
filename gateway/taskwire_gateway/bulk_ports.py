"""What the gateway asks of the store about bulk operations. Each may raise StoreUnavailable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from taskwire_core.bulk import BulkChunk, BulkOperation, BulkPreview, BulkScope, NewBulk
from taskwire_core.task import Task


class BulkBook(Protocol):
    """Operations as callers see them."""

    async def preview(self, scope: BulkScope, sample: int, *, within_s: float) -> BulkPreview:
        """What an operation of this scope would deal with, with up to `sample` ids.

        Raises TooManyToCount when `within_s` seconds are not enough.
        """

    async def begin(self, new: NewBulk) -> BulkOperation | None:
        """The new operation, or the one that its request id has begun before; None where that
        is another one."""

    async def running(self) -> list[BulkOperation]:
        """The operations that have not ended, the oldest first."""

    async def get(self, operation_id: bytes, *, owner: str) -> BulkOperation | None:
        """The operation; None when `owner` has no such one."""

    async def page(self, *, owner: str, before: bytes, limit: int) -> list[BulkOperation]:
        """Up to `limit` operations that are older than the id `before`, the newest first."""

    async def cancel(self, operation_id: bytes, *, owner: str) -> BulkOperation | None:
        """The operation, which has ended now; None when `owner` has no such one."""

    async def delete(self, operation_id: bytes, *, owner: str) -> BulkOperation | None:
        """The operation, whose record is gone if it had ended; None as above."""


class BulkWork(Protocol):
    """Operations as the leader does them."""

    async def running(self) -> list[BulkOperation]:
        """The operations that have not ended, the oldest first."""

    async def next_tasks(self, bulk: BulkOperation, limit: int) -> tuple[list[bytes], bool]:
        """The ids of the tasks that come next, at most `limit`; and whether none come after."""

    async def with_input(self, ids: Sequence[bytes]) -> Mapping[bytes, Task]:
        """The tasks among `ids` that exist, with their input."""

    async def advance(self, chunk: BulkChunk) -> BulkOperation | None:
        """The operation after its chunk; None when somebody else has done it, or it has ended."""

    async def forget(self, before_us: int) -> int:
        """Delete the records of operations that had ended before; how many."""


class BulkStore(BulkBook, BulkWork, Protocol):
    """Both sides, for those who put a gateway together."""
