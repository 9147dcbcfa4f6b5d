"""The database as the gateway's port of queues."""

from __future__ import annotations

from collections.abc import Sequence

from taskwire_core.lifecycle import HELD, State
from taskwire_db import operations as db
from taskwire_db.queue_reading import Moves, QueueRow, paused_queues, queue_names, queue_rows
from taskwire_db.reader import Reader
from taskwire_db.writer import Writer
from taskwire_gateway.queue_ports import Pause, Queue, Rates


class GatewayQueueStore:
    """See `QueueStore`."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def paused(self) -> frozenset[str]:
        """See `PauseReader`."""
        return await self._reader.call(paused_queues)

    async def names(self) -> frozenset[str]:
        """See `QueueStore`."""
        return await self._reader.call(queue_names)

    async def read(self, names: Sequence[str]) -> list[Queue]:
        """See `QueueStore`."""
        return [_queue(row) for row in await self._reader.call(queue_rows, names)]

    async def pause(self, name: str, *, actor: str, reason: str) -> bool:
        """See `QueueStore`."""
        return await self._writer.call(db.pause_queue, db.PauseRequest(name, actor, reason))

    async def resume(self, name: str) -> bool:
        """See `QueueStore`."""
        return await self._writer.call(db.resume_queue, name)

    async def forget_activity(self) -> int:
        """See `QueueStore`."""
        return await self._writer.call(db.forget_activity, None)


def _queue(row: QueueRow) -> Queue:
    pause = row.pause
    return Queue(
        name=row.name,
        now_us=row.now_us,
        pause=None if pause is None else Pause(pause.pause_time_us, pause.paused_by, pause.reason),
        queued=row.counts.get(State.QUEUED, 0),
        scheduled=row.counts.get(State.SCHEDULED, 0),
        retrying=row.counts.get(State.RETRYING, 0),
        running=sum(row.counts.get(state, 0) for state in HELD),
        oldest_due_us=row.oldest_due_us,
        live_workers=row.live_workers,
        slots=row.slots,
        rates=_rates(row.moves),
    )


def _rates(moves: Moves) -> Rates:
    return Rates(
        submitted=moves.submitted / moves.seconds,
        started=moves.started / moves.seconds,
        succeeded=moves.succeeded / moves.seconds,
        failed=moves.failed / moves.seconds,
    )
