"""Retention: the leader deletes ended tasks whose time has come, beside everybody's writes.

A chunk is one short transaction, and after it the writer is left to others for a while that
grows with it: whatever waits to be deleted, a third of the writer's time is never retention's.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Protocol

from taskwire_core.sizes import StoreSizes
from taskwire_gateway.keeper.watched import Observe, unobserved, watched
from taskwire_gateway.keeper.while_leading import WhileLeading
from taskwire_gateway.ports import Clock

log = logging.getLogger(__name__)

CHUNK = 250
REST = 0.5
"""How long the writer is left alone after a chunk, in times of the chunk's own duration."""

LOOK_S = 1.0
"""How often there is a look when nothing was due."""

PRUNE_S = 10.0
LEFTOVERS_S = 6 * 3600.0
SIZES_S = 600.0


class RetentionRows(Protocol):
    """What retention asks of the store. Each raises StoreUnavailable."""

    async def delete_expired(self, limit: int) -> int:
        """Delete up to `limit` ended tasks whose delete_time has passed; how many."""

    async def prune_changes(self) -> bool:
        """Delete a chunk of what the change log need not keep; whether there is more."""

    async def forget_leftovers(self) -> int:
        """Drop options and counters that belong to no task any more; how many options."""

    async def sizes(self) -> StoreSizes:
        """How large the store is."""


class Retention:
    """Works while `leads` says so. With `tasks` False ended tasks are kept for ever."""

    def __init__(
        self,
        rows: RetentionRows,
        *,
        leads: Callable[[], bool],
        clock: Clock,
        tasks: bool = True,
        observe: Observe = unobserved,
    ) -> None:
        self._rows = rows
        self._clock = clock
        self._tasks = tasks
        self._delete = watched("retention", lambda: rows.delete_expired(CHUNK), observe)
        self._due = dict.fromkeys((self._prune, self._forget, self._tell), 0.0)
        self.loop = WhileLeading("retention", self._step, leads=leads, idle_s=LOOK_S)

    async def _step(self) -> float:
        """Do one chunk, and the chores that are due; how long to leave the writer to others."""
        began = time.monotonic()
        for chore, due in self._due.items():
            if began >= due:
                self._due[chore] = began + await chore()
        if not self._tasks or await self._delete() < CHUNK:
            return LOOK_S
        return REST * (time.monotonic() - began)

    async def _prune(self) -> float:
        return LOOK_S if await self._rows.prune_changes() else PRUNE_S

    async def _forget(self) -> float:
        await self._rows.forget_leftovers()
        return LEFTOVERS_S

    async def _tell(self) -> float:
        sizes = await self._rows.sizes()
        overdue_s = 0.0
        if sizes.overdue_since_us is not None:
            overdue_s = (self._clock.now_us() - sizes.overdue_since_us) / 1e6
        states = {state.name.lower(): count for state, count in sizes.tasks.items() if count}
        log.info(
            "sizes",
            extra={"database_bytes": sizes.database_bytes, "overdue_s": round(overdue_s), **states},
        )
        return SIZES_S
