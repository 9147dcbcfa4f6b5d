"""What the gateway asks of the store about queues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from taskwire_gateway.recent import Recent


@dataclass(frozen=True, slots=True)
class Pause:
    """That a queue is paused, since when, by whom, and why."""

    time_us: int
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Rates:
    """How many tasks of a queue did something per second, lately."""

    submitted: float = 0.0
    started: float = 0.0
    succeeded: float = 0.0
    failed: float = 0.0


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue at `now_us`."""

    name: str
    now_us: int
    pause: Pause | None = None
    queued: int = 0
    scheduled: int = 0
    retrying: int = 0
    running: int = 0
    oldest_due_us: int | None = None
    live_workers: int = 0
    slots: int = 0
    rates: Rates = field(default_factory=Rates)


class PauseReader(Protocol):
    """The part of the store that knows the pauses."""

    async def paused(self) -> frozenset[str]:
        """The names of the paused queues; raises StoreUnavailable."""


class QueueStore(PauseReader, Protocol):
    """Queues as the store knows them. Each raises StoreUnavailable."""

    async def names(self) -> frozenset[str]:
        """The queues that a task, a live worker or a pause names."""

    async def read(self, names: Sequence[str]) -> list[Queue]:
        """Those queues, in their order."""

    async def pause(self, name: str, *, actor: str, reason: str) -> bool:
        """Pause a queue, so that nothing of it begins any more; False when it was paused."""

    async def resume(self, name: str) -> bool:
        """End a queue's pause; False when it was not paused."""

    async def forget_activity(self) -> int:
        """Delete what no rate is made of any more; how many rows."""


class PausedQueues(Recent[frozenset[str]]):
    """The names of the paused queues as they were at most a second ago.

    Whoever trusts it in vain loses nothing: a claim looks for the pause itself.
    """

    def __init__(self, store: PauseReader) -> None:
        super().__init__(store.paused, frozenset())
