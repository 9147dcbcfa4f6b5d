"""Bulk operations for callers: what one would do, begin it, read it, wait for it, cancel it."""

from __future__ import annotations

import asyncio

from taskwire_contracts.complaints import request_id_reused
from taskwire_core.bulk import BulkKind, BulkOperation, BulkPreview, BulkScope, NewBulk
from taskwire_core.errors import FieldViolation, InvalidRequest, NotFound, Unready
from taskwire_core.failpoints import ARMED, hit
from taskwire_core.filters import EVERYTHING
from taskwire_core.filters.parsing import parse
from taskwire_core.ids import to_text
from taskwire_gateway.bulk_ports import BulkBook
from taskwire_gateway.ports import Clock

SAMPLE = 20
POLL_S = 0.2


class Bulk:
    """The use cases behind BulkTaskService, PurgeQueue and google.longrunning.Operations."""

    def __init__(self, book: BulkBook, clock: Clock) -> None:
        self._book = book
        self._clock = clock

    async def preview(self, kind: BulkKind, filter_: str, *, owner: str) -> BulkPreview:
        """What an operation would deal with now.

        Raises:
            InvalidRequest: the filter is not valid, or empty.
        """
        return await self._book.preview(self._scope(kind, filter_, owner), SAMPLE)

    async def begin(
        self, kind: BulkKind, filter_: str, *, owner: str, reason: str = "", request_id: str = ""
    ) -> BulkOperation:
        """The operation, which the leader will do; or the one that the request id has begun.

        Raises:
            InvalidRequest: the filter is not valid, or empty.
            Conflict: the request id was used for another operation.
        """
        scope = self._scope(kind, filter_, owner)
        total = (await self._book.preview(scope, 0)).count
        new = NewBulk(scope, reason, request_id or None, total)
        found = await self._book.begin(new)
        if ARMED:
            hit("bulk.begun")
        if found is None:
            raise request_id_reused(request_id)
        return found

    async def get(self, operation_id: bytes, *, owner: str) -> BulkOperation:
        """The operation as it is now.

        Raises:
            NotFound: `owner` has no such one.
        """
        return _found(await self._book.get(operation_id, owner=owner), operation_id)

    async def wait(self, operation_id: bytes, *, owner: str, timeout_s: float) -> BulkOperation:
        """The operation once it has ended, or as it is after `timeout_s` seconds.

        Raises:
            NotFound: `owner` has no such one.
        """
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + timeout_s
        while True:
            found = await self.get(operation_id, owner=owner)
            left_s = give_up_at - loop.time()
            if found.end_time_us is not None or left_s <= 0:
                return found
            await asyncio.sleep(min(POLL_S, left_s))

    async def page(
        self, *, owner: str, before: bytes, size: int
    ) -> tuple[list[BulkOperation], bool]:
        """Up to `size` operations that are older than `before`; and whether there are more."""
        found = await self._book.page(owner=owner, before=before, limit=size + 1)
        return found[:size], len(found) > size

    async def cancel(self, operation_id: bytes, *, owner: str) -> None:
        """Do no more of the operation; what is done stays.

        Raises:
            NotFound: `owner` has no such one.
        """
        _found(await self._book.cancel(operation_id, owner=owner), operation_id)

    async def delete(self, operation_id: bytes, *, owner: str) -> None:
        """Delete the record of an operation that has ended.

        Raises:
            NotFound: `owner` has no such one.
            Unready: it has not ended.
        """
        found = _found(await self._book.delete(operation_id, owner=owner), operation_id)
        if found.end_time_us is None:
            name = operation_name(operation_id)
            raise Unready(
                "OPERATION_NOT_ENDED",
                f"{name} still works; cancel it, or wait for its end, then delete its record.",
                metadata={"operation": name},
            )

    def _scope(self, kind: BulkKind, filter_: str, owner: str) -> BulkScope:
        if parse(filter_) == EVERYTHING:
            violation = FieldViolation("filter", "must say which tasks")
            raise InvalidRequest(
                "FIELD_VIOLATION",
                "The filter is empty; write one that matches the tasks that you mean.",
                violations=[violation],
            )
        return BulkScope(kind, owner, filter_, began_us=self._clock.now_us())


def operation_name(operation_id: bytes) -> str:
    """What the operation is called outside."""
    return f"operations/{to_text(operation_id)}"


def operation_not_found(name: str) -> NotFound:
    """The one answer for an operation that is not there and for one that is not the caller's."""
    return NotFound(
        "OPERATION_NOT_FOUND",
        f"There is no operation {name[:200]} of yours; the record of one that has ended is kept"
        " for 7 days.",
        metadata={"operation": name[:200]},
    )


def _found(operation: BulkOperation | None, operation_id: bytes) -> BulkOperation:
    if operation is None:
        raise operation_not_found(operation_name(operation_id))
    return operation
