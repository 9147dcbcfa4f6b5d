"""Bulk operations for callers: what one would do, begin it, read it, wait for it, cancel it."""

from __future__ import annotations

from taskwire_contracts.complaints import request_id_reused
from taskwire_core.bulk import BulkKind, BulkOperation, BulkPreview, BulkScope, NewBulk
from taskwire_core.errors import FieldViolation, InvalidRequest, NotFound, Unready
from taskwire_core.failpoints import ARMED, hit
from taskwire_core.filters import EVERYTHING
from taskwire_core.filters.parsing import parse
from taskwire_core.ids import to_text
from taskwire_core.listing import TooManyToCount
from taskwire_gateway.bulk_ports import BulkBook
from taskwire_gateway.ports import Clock
from taskwire_gateway.use_cases.bulk_waits import BulkWaits
from taskwire_gateway.use_cases.listing import COUNT_WITHIN_S, too_many_to_count

SAMPLE = 20


class Bulk:
    """The use cases behind BulkTaskService, PurgeQueue and google.longrunning.Operations."""

    def __init__(self, book: BulkBook, clock: Clock) -> None:
        self._book = book
        self._clock = clock
        self._waits = BulkWaits(book)

    async def preview(self, kind: BulkKind, filter_: str, *, owner: str) -> BulkPreview:
        """What an operation would deal with now.

        Raises:
            InvalidRequest: the filter is not valid, or empty, or too many rows would have to be
                looked at.
        """
        scope = self._scope(kind, filter_, owner)
        try:
            return await self._book.preview(scope, SAMPLE, within_s=COUNT_WITHIN_S)
        except TooManyToCount:
            raise too_many_to_count() from None

    async def begin(
        self, kind: BulkKind, filter_: str, *, owner: str, reason: str = "", request_id: str = ""
    ) -> BulkOperation:
        """The operation, which the leader will do; or the one that the request id has begun.

        Raises:
            InvalidRequest: the filter is not valid, or empty.
            Conflict: the request id was used for another operation.
        """
        scope = self._scope(kind, filter_, owner)
        new = NewBulk(scope, reason, request_id or None, await self._total(scope))
        found = await self._book.begin(new)
        if ARMED:
            hit("bulk.begun")
        if found is None:
            raise request_id_reused(request_id)
        return found

    async def _total(self, scope: BulkScope) -> int:
        try:
            return (await self._book.preview(scope, 0, within_s=COUNT_WITHIN_S)).count
        except TooManyToCount:
            return 0  # It is for the progress only, and the operation needs it not.

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
        found = await self.get(operation_id, owner=owner)
        if found.end_time_us is not None or timeout_s <= 0:
            return found
        await self._waits.until_ended(operation_id, timeout_s=timeout_s)
        return await self.get(operation_id, owner=owner)

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
