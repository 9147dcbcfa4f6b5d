"""The database as the gateway's ports: group writes, grouped reads, sweeps, leases.

Only the mains import this file: nothing else of the gateway knows that there is a database.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product

from taskwire_core.failpoints import ARMED, hit
from taskwire_core.ids import new_id
from taskwire_core.lifecycle import State
from taskwire_core.task import Dispatch, Task, View, payload_bytes
from taskwire_db import operations as db
from taskwire_db.advisory_lock import AdvisoryLock
from taskwire_db.database import Database, Transaction
from taskwire_db.reader import Reader
from taskwire_db.writer import Writer
from taskwire_gateway.adapters.ended_tasks import EndedTaskStore
from taskwire_gateway.adapters.task_changes import TaskChangeStore
from taskwire_gateway.keeper.ports import CHUNK, LEADER_LEASE_S
from taskwire_gateway.ports import Cancelled, Planned, Recorded, RequestIdsReused
from taskwire_gateway.users.managing import user_not_found
from taskwire_gateway.workers_alive import Served

log = logging.getLogger(__name__)

LEADER = "keeper"


class GatewayStore:
    """One gateway process's view of the database; see `ports.py` and `keeper/ports.py`.

    `ttl_us` None is for the embedded process, which nobody else could replace.
    """

    def __init__(
        self, database: Database, writer: Writer, reader: Reader, *, ttl_us: int | None
    ) -> None:
        self._database = database
        self._writer = writer
        self._reader = reader
        self._ttl_us = ttl_us
        self._lock = (
            None if database.is_sqlite else AdvisoryLock(database, LEADER, silence_s=LEADER_LEASE_S)
        )
        self.gateway_id = new_id()
        self.changes = TaskChangeStore(reader)
        self.ended = EndedTaskStore(writer, reader, lambda: self.gateway_id)

    # Callers' writes and reads.

    async def submit(self, tasks: Sequence[Planned]) -> list[Recorded]:
        """See `TaskWriter`."""
        unit = db.SubmitUnit(
            tuple(db.Submission(p.task, self.gateway_id if p.publish else None) for p in tasks)
        )
        try:
            size = sum(payload_bytes(planned.task) for planned in tasks)
            result = await self._writer.call(db.submit_owned, unit, size=size)
        except db.OwnerGone:
            raise user_not_found(tasks[0].task.owner) from None
        if result.reused:
            raise RequestIdsReused(result.reused)
        return [Recorded(found.task, found.created) for found in result.submitted]

    async def cancel(
        self, task_id: bytes, *, owner: str, reason: str, actor: str
    ) -> Cancelled | None:
        """See `TaskWriter`."""
        request = db.CancelRequest(task_id=task_id, owner=owner, reason=reason, actor=actor)
        found = await self._writer.call(db.cancel, request)
        return None if found is None else Cancelled(found.task, found.effective)

    async def run_now(self, task_id: bytes, *, owner: str, actor: str) -> tuple[Task, bool] | None:
        """See `RunNow`."""
        request = db.RunNowRequest(task_id, owner, actor)
        found = await self._writer.call(db.run_now, request)
        return None if found is None else (found.task, found.effective)

    async def tasks(self, ids: Sequence[bytes], view: View) -> Mapping[bytes, Task]:
        """See `TaskReader`."""
        return await self._reader.call(Reader.get, ids, view)

    async def some_tasks(
        self, ids: Sequence[bytes], view: View, max_bytes: int
    ) -> tuple[int, Mapping[bytes, Task]]:
        """See `TaskReader`."""
        return await self._reader.call(Reader.get_some, ids, view, max_bytes)

    async def versions(self, ids: Sequence[bytes]) -> Mapping[bytes, int]:
        """See `TaskReader`."""
        return await self._reader.call(Reader.versions, ids)

    async def by_request_id(self, owner: str, request_id: str) -> tuple[Task, bytes] | None:
        """See `TaskReader`."""
        requests = await self._reader.call(Reader.find_requests, owner, [request_id])
        if request_id not in requests:
            return None
        task_id, request_hash = requests[request_id]
        found = await self._reader.call(Reader.get, [task_id], View.BASIC)
        return (found[task_id], request_hash) if task_id in found else None

    async def live_workers(self) -> Served:
        """See `TaskReader`."""
        workers = await self._reader.call(Reader.live_workers)
        return Counter(
            served
            for worker in workers
            if not worker.draining
            for served in product(worker.queues, worker.types)
        )

    # The outbox.

    async def mark_dispatched(self, dispatches: Sequence[Dispatch]) -> None:
        """See `DispatchMarks`."""
        await self._writer.call(_mark_all, dispatches)

    async def dispatched(self) -> Mapping[str, int]:
        """See `DispatchMarks`."""
        return await self._reader.call(Reader.dispatched)

    async def release_unpublished(self) -> int:
        """See `DispatchMarks`."""
        return await self._writer.call(db.release_gateway, self.gateway_id)

    async def queued_types(self) -> Mapping[str, frozenset[str]]:
        """See `BacklogRows`: from the counters, which cost the same however long the backlog."""
        queues: dict[str, set[str]] = {}
        for name, queue, _, _ in await self._reader.call(Reader.counts, State.QUEUED):
            queues.setdefault(queue, set()).add(name)
        return {queue: frozenset(types) for queue, types in queues.items()}

    async def take(self, queue: str, types: Sequence[str], limit: int) -> list[Dispatch]:
        """See `BacklogRows`."""
        request = db.Backlog(queue, tuple(types), limit, self.gateway_id)
        taken = await self._writer.call(db.take_backlog, request)
        if ARMED and taken:
            hit("sweep.backlog")
        return taken

    async def held(self) -> int:
        """See `StrandedRows`."""
        return sum(worker.held for worker in await self._reader.call(Reader.live_workers))

    async def give_back(self, queue: str, before_us: int) -> int:
        """See `StrandedRows`."""
        released = await self._writer.call(db.sweep_stranded, db.Stranded(queue, before_us))
        if ARMED and released:
            hit("sweep.stranded")
        return released

    # The keeper.

    async def lead(self) -> bool:
        """See `Leadership`."""
        if self._ttl_us is None:
            return True
        if self._lock is not None:
            return await asyncio.to_thread(self._lock.hold)
        wish = db.Leadership(LEADER, self.gateway_id, round(LEADER_LEASE_S * 1e6))
        return await self._writer.call(db.lead, wish)

    async def resign(self) -> None:
        """See `Leadership`: a lease of no time, which only its holder can get."""
        if self._lock is not None:
            await asyncio.to_thread(self._lock.release)
        else:
            await self._writer.call(db.lead, db.Leadership(LEADER, self.gateway_id, 0))

    async def next_due_us(self) -> int | None:
        """See `Sweeps`."""
        return await self._reader.call(Reader.next_due_us)

    async def due(self) -> int:
        """See `Sweeps`."""
        moved = await self._writer.call(db.sweep_due, db.Sweep(limit=CHUNK))
        if ARMED and moved:
            hit("sweep.due")
        return len(moved)

    async def deadlines(self) -> int:
        """See `Sweeps`."""
        moved = await self._writer.call(db.sweep_deadlines, db.Sweep(limit=CHUNK))
        if ARMED and moved:
            hit("sweep.deadlines")
        return len(moved)

    async def lost(self) -> int:
        """See `Sweeps`."""
        moved = await self._writer.call(db.sweep_lost, db.Sweep(limit=CHUNK))
        if ARMED and moved:
            hit("sweep.lost")
        return len(moved)

    async def dead_gateways(self) -> int:
        """See `Sweeps`."""
        dead = await self._reader.call(Reader.dead_gateways)
        released = 0
        for gateway_id in dead:
            released += await self._writer.call(db.release_gateway, gateway_id)
            if ARMED:
                hit("sweep.released")
            await self._writer.call(db.delete_gateway, gateway_id)
        return released

    async def checkpoint(self) -> None:
        """See `Sweeps`."""
        await self._reader.call(lambda _: self._database.checkpoint())

    # This gateway's own lease.

    async def register(self) -> None:
        """Be alive from now on."""
        await self._writer.call(db.register_gateway, self._row())

    async def renew(self) -> None:
        """Stay alive; a lease that has run out is never revived, so come back under a new id."""
        if not await self._writer.call(db.renew_gateway, self._row()):
            log.warning("this gateway's lease had run out", extra={"gateway": self.gateway_id})
            self.gateway_id = new_id()
            await self.register()

    async def retire(self) -> None:
        """Hand what was not published to the other gateways, and be gone."""
        await self._writer.call(db.release_gateway, self.gateway_id)
        await self._writer.call(db.delete_gateway, self.gateway_id)

    def _row(self) -> db.GatewayRow:
        return db.GatewayRow(self.gateway_id, socket.gethostname(), os.getpid(), self._ttl_us)


def _mark_all(tx: Transaction, groups: Sequence[Sequence[Dispatch]]) -> list[None]:
    """One item is a whole group of marks: a future each would cost more than the marks."""
    db.mark_dispatched(tx, [dispatch for group in groups for dispatch in group])
    return [None] * len(groups)
