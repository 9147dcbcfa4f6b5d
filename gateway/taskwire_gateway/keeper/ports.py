"""What the keeper asks of the store and the broker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from taskwire_core.task import Dispatch

LEADER_LEASE_S = 6.0
"""How long a leader that has died is waited for; two leaders for a moment are harmless."""

CHUNK = 500
"""How many tasks one sweep moves in one transaction."""


class Leadership(Protocol):
    """Who is the keeper that works. Raises StoreUnavailable."""

    async def lead(self) -> bool:
        """Whether this gateway leads from now on, for LEADER_LEASE_S unless it asks again."""

    async def resign(self) -> None:
        """Let another gateway lead at once, if this one leads, and do not stand any more."""


class Sweeps(Protocol):
    """What time does to tasks. Each raises StoreUnavailable, and says how many it moved."""

    async def next_due_us(self) -> int | None:
        """When the next timer or time-out of a waiting task passes; None when there is none."""

    async def due(self) -> int:
        """Queue scheduled and retrying tasks whose time has come, up to a chunk."""

    async def deadlines(self) -> int:
        """End waiting tasks whose start or total time-out has passed, up to a chunk."""

    async def lost(self) -> int:
        """Settle attempts of lost workers and overrun ones, up to a chunk."""

    async def dead_gateways(self) -> int:
        """Give the unpublished rows of dead gateways to the backlog, and forget those gateways."""

    async def checkpoint(self) -> None:
        """Move the write-ahead log into the database file, where there is one."""


class BacklogRows(Protocol):
    """Queued rows that no gateway publishes. Each raises StoreUnavailable."""

    async def queued_types(self) -> Mapping[str, frozenset[str]]:
        """The queues that have queued tasks, dispatched or not, with those tasks' types."""

    async def take(self, queue: str, types: Sequence[str], limit: int) -> list[Dispatch]:
        """Take up to `limit` rows for this gateway: by priority, fairly, then by age."""


class StrandedRows(Protocol):
    """Rows whose message the broker may have lost. Each raises StoreUnavailable."""

    async def dispatched(self) -> Mapping[str, int]:
        """How many queued tasks of each queue are with the broker and not claimed."""

    async def held(self) -> int:
        """How many deliveries the live workers hold without having claimed them."""

    async def give_back(self, queue: str, before_us: int) -> int:
        """Hand rows that were dispatched before to the backlog; how many."""


class QueueDepths(Protocol):
    """The broker's side of the same question."""

    async def ready(self, queue: str) -> int | None:
        """How many messages wait in the queue; None when the broker does not say."""
