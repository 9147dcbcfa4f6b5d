"""Stranded dispatches: marked in SQL as with the broker, which does not have them any more.

A queue is stranded when its broker queue is empty in two sweeps ten seconds apart while
rows stay dispatched, and no live worker holds unclaimed deliveries. Publishing once too
often is harmless, since a claim is won once; publishing never would lose the task.
"""

from __future__ import annotations

from taskwire_gateway.keeper.ports import QueueDepths, StrandedRows
from taskwire_gateway.ports import Clock

INTERVAL_S = 10.0


class StrandedSweep:
    """Remembers which queues were empty the last time, and since when."""

    def __init__(self, rows: StrandedRows, depths: QueueDepths, clock: Clock) -> None:
        self._rows = rows
        self._depths = depths
        self._clock = clock
        self._empty_since_us: dict[str, int] = {}

    async def sweep(self) -> int:
        """How many rows were given back to the backlog; call it every INTERVAL_S."""
        began_us = self._clock.now_us()
        empty = await self._empty_queues()
        suspects = {queue: self._empty_since_us.get(queue, began_us) for queue in empty}
        given_back = 0
        for queue, since_us in suspects.items():
            if since_us < began_us:
                given_back += await self._rows.give_back(queue, since_us)
        self._empty_since_us = suspects
        return given_back

    async def _empty_queues(self) -> list[str]:
        dispatched = await self._rows.dispatched()
        if not dispatched or await self._rows.held():
            return []
        return [queue for queue in dispatched if await self._depths.ready(queue) == 0]
