"""The keeper: one gateway leads and does what time demands; the others stand by.

Every write is a compare-and-set, so that two keepers for a moment are harmless. What each
sweep does is in lifecycle order; this file owns when and how often.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from taskwire_core.errors import StoreUnavailable
from taskwire_core.failpoints import ARMED, hit
from taskwire_gateway.keeper.backlog import Backlog
from taskwire_gateway.keeper.ports import CHUNK, LEADER_LEASE_S, Leadership, Sweeps
from taskwire_gateway.keeper.stranded import INTERVAL_S, StrandedSweep
from taskwire_gateway.keeper.watched import Observe, unobserved, watched
from taskwire_gateway.ports import Clock

log = logging.getLogger(__name__)

TICK_S = 0.25
"""A timer set by another process is seen this late at most: one small read per tick."""

LEAST_PAUSE_S = 0.05
"""Rows that are left to the backlog end a pause early, but no more often than this."""

PAUSE_AFTER_ERROR_S = 1.0

STANDBY_S = 1.0
"""How often a gateway that does not lead asks whether it may."""


@dataclass(slots=True)
class Chore:
    """One sweep and how often it is due; it runs again at once while it finds full chunks."""

    sweep: Callable[[], Awaitable[int]]
    every_s: float
    due: float = field(default=0.0)


class Keeper:
    """Runs until it is closed; `lease_s` is how long the dead are believed to be alive.

    `further` are chores of other parts of the gateway.
    """

    def __init__(
        self,
        *,
        leadership: Leadership,
        sweeps: Sweeps,
        backlog: Backlog,
        stranded: StrandedSweep,
        spilled: asyncio.Event,
        further: Sequence[Chore] = (),
        clock: Clock,
        lease_s: float,
        observe: Observe = unobserved,
    ) -> None:
        self._leadership = leadership
        self._sweeps = sweeps
        self._spilled = spilled
        self._clock = clock
        self._renew_s = LEADER_LEASE_S / 3
        self._move_due = watched("due", sweeps.due, observe)
        self._end_overdue = watched("deadlines", sweeps.deadlines, observe)
        self._fill = watched("backlog", backlog.sweep, observe)
        self._chores = [
            Chore(watched("lost", sweeps.lost, observe), min(1.0, lease_s / 4)),
            Chore(watched("dead_gateways", sweeps.dead_gateways, observe), min(1.0, lease_s / 4)),
            Chore(self._fill, 1.0),
            Chore(watched("stranded", stranded.sweep, observe), INTERVAL_S),
            Chore(watched("checkpoint", self._checkpoint, observe), 1.0),
            *further,
        ]
        self._renewal = 0.0
        self._loop_task: asyncio.Task[None] | None = None
        self.leads = False
        """Whether this gateway did the work at the last tick."""

    def start(self) -> None:
        """Begin to stand for leader."""
        self._loop_task = asyncio.create_task(self._run(), name="keeper")

    async def stop(self) -> None:
        """Begin no sweep any more."""
        if self._loop_task is not None:
            self._loop_task.cancel()
            # Awaited itself it would swallow the cancelling of whoever waits here.
            await asyncio.wait({self._loop_task})

    async def resign(self) -> None:
        """Let another gateway lead, now that this one has stopped."""
        with suppress(StoreUnavailable):
            await self._leadership.resign()

    async def _run(self) -> None:
        while True:
            try:
                await self._pause(await self._tick())
            except StoreUnavailable:
                # The next tick must ask again who leads: this one's lease may have passed.
                self.leads, self._renewal = False, 0.0
                await asyncio.sleep(PAUSE_AFTER_ERROR_S)
            except Exception:
                log.exception("a sweep failed and is tried again")
                await asyncio.sleep(PAUSE_AFTER_ERROR_S)

    async def _pause(self, seconds: float) -> None:
        least = min(seconds, LEAST_PAUSE_S)
        await asyncio.sleep(least)
        if self.leads:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds - least):
                    await self._spilled.wait()
        else:
            await asyncio.sleep(seconds - least)

    async def _tick(self) -> float:
        """Do what is due; how many seconds there is nothing to do."""
        now = asyncio.get_running_loop().time()
        if now >= self._renewal:
            self.leads = await self._leadership.lead()
            self._renewal = now + (self._renew_s if self.leads else STANDBY_S)
        if not self.leads:
            return STANDBY_S
        if ARMED:
            hit("keeper.leads")
        pause_s = await self._timers()
        for chore in self._chores:
            if now >= chore.due:
                chore.due = now + chore.every_s
                if await _done_by(chore) >= CHUNK:
                    chore.due = now
        if self._spilled.is_set():
            await self._fill()
        return pause_s

    async def _timers(self) -> float:
        """Move what is due; how long to sleep until the next timer, at most a tick."""
        next_us = await self._sweeps.next_due_us()
        left_s = self._left_s(next_us)
        if left_s > 0:
            return min(TICK_S, left_s)
        moved = await self._move_due()
        ended = await self._end_overdue()
        if moved:
            await self._fill()
        # Nothing moved although something was due: the store's clock is a little behind ours.
        return 0.0 if max(moved, ended) >= CHUNK else min(TICK_S, 0.01 if moved + ended else 0.05)

    def _left_s(self, next_us: int | None) -> float:
        return TICK_S if next_us is None else (next_us - self._clock.now_us()) / 1e6

    async def _checkpoint(self) -> int:
        await self._sweeps.checkpoint()
        return 0


async def _done_by(chore: Chore) -> int:
    try:
        return await chore.sweep()
    except StoreUnavailable:
        raise
    except Exception:
        # One row that a sweep stumbles over must not keep the other sweeps from all tasks.
        log.exception("a sweep failed and is tried again")
        return 0
