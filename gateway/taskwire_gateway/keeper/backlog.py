"""The leader's backlog: rows that no gateway publishes, dispatched as their windows allow."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from taskwire_core.task import Dispatch
from taskwire_gateway.keeper.ports import CHUNK, BacklogRows
from taskwire_gateway.queue_ports import PausedQueues
from taskwire_gateway.workers_alive import LiveWorkers


class BacklogDispatch(Protocol):
    """The dispatcher, as far as the backlog needs it."""

    @property
    def ready(self) -> bool:
        """Whether the broker takes messages now."""

    @property
    def spilled(self) -> asyncio.Event:
        """Set when rows were left to the backlog."""

    def room(self, queue: str) -> int:
        """How many more tasks of the queue may be dispatched."""

    def unsure(self) -> None:
        """Rows may have become ours, and nobody knows."""

    def dispatch_backlog(self, dispatches: Sequence[Dispatch]) -> None:
        """Publish these."""


class Backlog:
    """Fills the window of every queue that is not paused from SQL."""

    def __init__(
        self,
        rows: BacklogRows,
        dispatcher: BacklogDispatch,
        workers: LiveWorkers,
        paused: PausedQueues,
    ) -> None:
        self._rows = rows
        self._dispatcher = dispatcher
        self._workers = workers
        self._paused = paused

    async def sweep(self) -> int:
        """How many rows were dispatched."""
        # Also when the broker is away: it sets this again when it is back.
        self._dispatcher.spilled.clear()
        if not self._dispatcher.ready:
            return 0
        queues = await self._rows.queued_types()
        if not queues:
            return 0
        live, paused = await self._workers.now(), await self._paused.anew()
        total = 0
        for queue, types in queues.items():
            if queue in paused:
                continue
            total += await self._fill(
                queue, sorted(found for found in types if live.get((queue, found)))
            )
        return total

    async def _fill(self, queue: str, types: Sequence[str]) -> int:
        total = 0
        while types and (limit := min(self._dispatcher.room(queue), CHUNK)):
            found = await self._take(queue, types, limit)
            self._dispatcher.dispatch_backlog(found)
            total += len(found)
            if len(found) < limit:
                break
        return total

    async def _take(self, queue: str, types: Sequence[str], limit: int) -> list[Dispatch]:
        try:
            return await self._rows.take(queue, types, limit)
        except BaseException:
            # Whatever it was, they may be ours now.
            self._dispatcher.unsure()
            raise
