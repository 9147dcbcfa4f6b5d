"""A loop of the leader's that works beside the keeper's sweeps, a step at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from taskwire_core.errors import StoreUnavailable

log = logging.getLogger(__name__)


class WhileLeading:
    """Awaits `step` again and again while `leads` says so.

    A step answers with the seconds to pause after it. After one that failed, and while somebody
    else leads, the pause is `idle_s`.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], Awaitable[float]],
        *,
        leads: Callable[[], bool],
        idle_s: float,
    ) -> None:
        self._name = name
        self._step = step
        self._leads = leads
        self._idle_s = idle_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def close(self) -> None:
        """Stop; a chunk that is under way is written all the same."""
        if self._task is not None:
            self._task.cancel()
            # Awaited itself it would swallow the cancelling of whoever waits here.
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        while True:
            pause_s = self._idle_s
            try:
                if self._leads():
                    pause_s = await self._step()
            except StoreUnavailable:
                pass
            except Exception:
                log.exception("%s failed and is tried again", self._name)
            await asyncio.sleep(pause_s)
