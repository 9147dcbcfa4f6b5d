"""Deleting and retrying ended tasks in the database; the writer groups what comes together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from taskwire_core.failpoints import ARMED, hit
from taskwire_core.lifecycle import State
from taskwire_core.sizes import StoreSizes
from taskwire_core.task import payload_bytes
from taskwire_db import operations as db
from taskwire_db.reader import Reader
from taskwire_db.writer import Writer
from taskwire_gateway.ports import Planned, Recorded, RequestIdsReused
from taskwire_gateway.use_cases.retrying import NotRetriable
from taskwire_gateway.users.managing import user_not_found

PRUNED_AT_ONCE = 2_000
"""Rows of the change log that one transaction deletes at the most: some milliseconds."""


class EndedTaskStore:
    """See `TaskDeleter`, `TaskRetrier`, `Tombstones` and `RetentionRows`.

    `gateway_id` says who this gateway is at the moment, for the tasks that it publishes itself.
    """

    def __init__(self, writer: Writer, reader: Reader, gateway_id: Callable[[], bytes]) -> None:
        self._writer = writer
        self._reader = reader
        self._gateway_id = gateway_id

    async def delete(self, task_id: bytes, *, owner: str) -> State | None:
        """See `TaskDeleter`."""
        found = await self._writer.call(db.delete, db.DeleteRequest(task_id, owner))
        return None if found is None else found.state

    async def retry(self, retries: Sequence[Planned]) -> list[Recorded]:
        """See `TaskRetrier`."""
        return list(await asyncio.gather(*(self._retry(planned) for planned in retries)))

    async def _retry(self, planned: Planned) -> Recorded:
        gateway_id = self._gateway_id() if planned.publish else None
        submission, size = db.Submission(planned.task, gateway_id), payload_bytes(planned.task)
        try:
            found = await self._writer.call(db.retry, submission, size=size)
        except db.OwnerGone:
            raise user_not_found(planned.task.owner) from None
        if found.reused:
            raise RequestIdsReused([0])
        if found.submitted is None:
            raise NotRetriable(found.source)
        return Recorded(found.submitted.task, found.submitted.created)

    async def was_deleted(self, task_id: bytes, *, owner: str) -> bool:
        """See `Tombstones`."""
        return await self._reader.call(Reader.was_deleted, task_id, owner=owner)

    async def delete_expired(self, limit: int) -> int:
        """See `RetentionRows`."""
        deleted = await self._writer.call(db.delete_expired, db.Expired(limit))
        if ARMED and deleted:
            hit("retention.deleted")
        return deleted

    async def prune_changes(self) -> bool:
        """See `RetentionRows`."""
        pruned = await self._writer.call(db.prune_changes, PRUNED_AT_ONCE)
        if ARMED and pruned:
            hit("retention.pruned")
        return pruned >= PRUNED_AT_ONCE

    async def forget_leftovers(self) -> int:
        """See `RetentionRows`."""
        await self._writer.call(db.forget_counters, None)
        unused = await self._reader.call(Reader.unused_options)
        return await self._writer.call(db.forget_options, unused) if unused else 0

    async def sizes(self) -> StoreSizes:
        """See `RetentionRows`."""
        return await self._reader.call(Reader.sizes)
