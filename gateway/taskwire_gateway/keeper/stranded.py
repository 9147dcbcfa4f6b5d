"""Stranded dispatches: marked in SQL as with the broker, which does not have them any more.

A queue has lost messages when the broker has fewer of them, together with what live workers
hold unclaimed, than rows are dispatched, in two sweeps ten seconds apart. An empty broker
queue is the plain case; a busy one, which never runs empty, must not hide its losses for ever.
What was dispatched before the first of the two sweeps is published again. Once too often is
harmless, since a claim is won once, and adds the messages that end the suspicion; never would
lose the task.
"""

from __future__ import annotations

from taskwire_gateway.keeper.ports import QueueDepths, StrandedRows
from taskwire_gateway.ports import Clock

INTERVAL_S = 10.0


class StrandedSweep:
    """Remembers which queues lacked messages the last time, and since when."""

    def __init__(self, rows: StrandedRows, depths: QueueDepths, clock: Clock) -> None:
        self._rows = rows
        self._depths = depths
        self._clock = clock
        self._short_since_us: dict[str, int] = {}

    async def sweep(self) -> int:
        """How many rows were given back to the backlog; call it every INTERVAL_S."""
        began_us = self._clock.now_us()
        short = await self._short_queues()
        suspects = {queue: self._short_since_us.get(queue, began_us) for queue in short}
        given_back = 0
        for queue, since_us in suspects.items():
            if since_us < began_us:
                given_back += await self._rows.give_back(queue, since_us)
                suspects[queue] = began_us
        self._short_since_us = suspects
        return given_back

    async def _short_queues(self) -> list[str]:
        dispatched = await self._rows.dispatched()
        if not dispatched:
            return []
        held = await self._rows.held()
        return [
            queue for queue, rows in dispatched.items() if await self._lacks(queue, rows - held)
        ]

    async def _lacks(self, queue: str, expected: int) -> bool:
        if expected <= 0:
            return False
        ready = await self._depths.ready(queue)
        return ready is not None and ready < expected
