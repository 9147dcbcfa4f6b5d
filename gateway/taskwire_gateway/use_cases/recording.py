"""Recording new tasks, and handing to the dispatcher those that this gateway publishes itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from enum import IntEnum
from typing import Protocol

from msgspec import Struct

from taskwire_core.errors import StoreUnavailable
from taskwire_core.failpoints import ARMED, hit
from taskwire_core.lifecycle import State
from taskwire_core.task import NewTask, Task
from taskwire_gateway.ports import Planned, Recorded


class Disposition(IntEnum):
    """What became of a submission; the numbers are those of the answer's enum."""

    CREATED = 1
    EXISTING = 2
    VALIDATED = 3


class Accepted(Struct, frozen=True):
    """A submission's answer."""

    task: Task
    disposition: Disposition


class Dispatching(Protocol):
    """The dispatcher, as far as a new task needs it."""

    def takes(self, task_type: str, queue: str) -> bool:
        """Whether this gateway will publish one more task of that queue itself."""

    def dispatch(self, tasks: Sequence[Task]) -> None:
        """Publish these once the answer is on its way."""

    def unsure(self) -> None:
        """A submission may have been recorded, and nobody knows."""


Write = Callable[[Sequence[Planned]], Awaitable[list[Recorded]]]
"""Records all of some tasks or none, in one transaction."""


class Recording:
    """Between a use case that makes tasks and the store that keeps them."""

    def __init__(
        self,
        dispatcher: Dispatching,
        accepted: Callable[[Sequence[Task]], None] = lambda tasks: None,
    ) -> None:
        """`accepted` is told of the new tasks, for the metrics."""
        self._dispatcher = dispatcher
        self._accepted = accepted

    async def record(self, new: Sequence[NewTask], write: Write) -> list[Accepted]:
        """The answers for `new`, committed, and on their way to the broker.

        Raises:
            StoreUnavailable: nothing was recorded; and whatever else `write` raises.
        """
        if ARMED:
            hit("submit.checked")
        planned = [
            Planned(task, self._dispatcher.takes(task.type, task.options.queue)) for task in new
        ]
        try:
            recorded = await write(planned)
        except (asyncio.CancelledError, StoreUnavailable):
            self._dispatcher.unsure()
            raise
        try:
            if ARMED:
                hit("submit.committed")
            self._dispatcher.dispatch(_to_publish(planned, recorded))
        except Exception:
            # A defect; but the rows are there, and are nobody else's to publish.
            self._dispatcher.unsure()
            raise
        self._accepted([found.task for found in recorded if found.created])
        return [
            Accepted(found.task, Disposition.CREATED if found.created else Disposition.EXISTING)
            for found in recorded
        ]


def _to_publish(planned: Sequence[Planned], recorded: Sequence[Recorded]) -> list[Task]:
    return [
        found.task
        for plan, found in zip(planned, recorded, strict=True)
        if plan.publish and found.created and found.task.state is State.QUEUED
    ]
