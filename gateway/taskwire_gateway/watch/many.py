"""What a watch of many tasks is asked for, what it sends, and where it may be resumed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from taskwire_core.changes import Cursor
from taskwire_core.filters import EVERYTHING, Filter
from taskwire_core.task import ProgressRing, Task, View
from taskwire_gateway.watch.slot import End
from taskwire_gateway.watch.watching import DEFAULT_HEARTBEAT, Heartbeat

NOTHING = b""
"""The place before the first id."""


@dataclass(frozen=True, slots=True)
class Removed:
    """A task that is not watched any more; `deleted`, or else it has left the filter."""

    task_id: bytes
    deleted: bool


@dataclass(frozen=True, slots=True)
class Synced:
    """All of the initial set was sent."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a watch has got to: what its resume token holds.

    While the initial set is being sent `listed` is the last id of it, and None afterwards.
    """

    cursor: Cursor
    listed: bytes | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """Which tasks of `owner` to follow: those with these ids, or those that match."""

    owner: str
    ids: frozenset[bytes] | None = None
    filter: Filter = EVERYTHING
    view: View = View.OUTCOME
    heartbeat: timedelta = DEFAULT_HEARTBEAT


Event = Task | ProgressRing | Removed | Synced | Heartbeat | End
Send = Callable[[Event, Place], Awaitable[None]]
