"""Lists and counts of tasks, as the rooms hand them to one another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from taskwire_core.filters import Filter
from taskwire_core.lifecycle import Event, State
from taskwire_core.task import Task, View


class Order(StrEnum):
    """The orders of a list, as requests name them.

    The order of creation is that of the ids, which are made of the time: of two tasks of one
    millisecond the one with the greater id counts as the newer.
    """

    NEWEST = "create_time desc"
    OLDEST = "create_time"
    CHANGED = "update_time desc"


@dataclass(frozen=True, slots=True)
class Place:
    """A task's place in a list; the time of its last change counts in the order CHANGED only."""

    id: bytes
    update_time_us: int = 0


@dataclass(frozen=True, slots=True)
class Listing:
    """Which page of which list. `after` is where the page before ended, None for the first one;
    `max_bytes` is how much input and result the page may have, unless its first task has more."""

    owner: str
    filter: Filter
    order: Order
    limit: int
    view: View
    max_bytes: int
    after: Place | None = None


@dataclass(frozen=True, slots=True)
class TaskPage:
    """One page; `next` is where the following one begins, None when this is the last.

    A page may have fewer tasks than the limit, or none, and still not be the last.
    """

    tasks: tuple[Task, ...]
    next: Place | None


class Group(StrEnum):
    """What counts may be grouped by."""

    STATE = "state"
    TYPE = "type"
    QUEUE = "queue"
    OWNER = "owner"


Counts = Mapping[tuple[str, ...], int]
"""How many tasks have which values; a state by its name."""


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """One transition of a task, as its history tells it."""

    version: int
    state: State
    attempt: int
    event: Event
    event_time_us: int
    worker_id: bytes | None
    actor: str
    message: str


class TooManyToCount(Exception):
    """The rows that a count would have to look at are more than its time is enough for."""
