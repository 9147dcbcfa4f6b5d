"""Who runs what now: read at most once a second, shared by all who ask.

A worker runs a task when it has the type's handler and works on the task's queue: a task on a
queue that nobody works on has no worker, whoever has its handler.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from taskwire_gateway.recent import Recent

Served = Mapping[tuple[str, str], int]
"""(queue, task type) → how many live worker processes run it there."""


class WorkerCounts(Protocol):
    """The part of the store that knows the workers."""

    async def live_workers(self) -> Served:
        """How many live worker processes run what; raises StoreUnavailable."""


class LiveWorkers(Recent[Served]):
    """The counts as they were at most a second ago, for those who may be that wrong."""

    def __init__(
        self, store: WorkerCounts, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(store.live_workers, {}, monotonic)
