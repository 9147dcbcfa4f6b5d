"""A bulk operation: what it does to which tasks, and how far it is. Facts, without technology.

It walks through its tasks in the order of their ids. Its tasks are those that match the filter,
are its owner's and are in a state that it is for; that were there when it began, by their ids;
and of ended ones those that had ended by then, so that a retry never meets its own tasks.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from taskwire_core.task import NewTask

MOST_FAILURES = 10
"""How many failures an operation remembers; all are counted."""


class BulkKind(StrEnum):
    """What is done to each task."""

    CANCEL = "cancel"
    RETRY = "retry"
    DELETE = "delete"


class BulkFailure(msgspec.Struct, frozen=True):
    """Why a task could not be dealt with: a canonical code, a reason, and a sentence."""

    task_id: bytes
    code: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class BulkScope:
    """The tasks of an operation that began at `began_us`, by the store's clock, as they are now."""

    kind: BulkKind
    owner: str
    filter: str
    began_us: int


@dataclass(frozen=True, slots=True)
class BulkPreview:
    """How many tasks are in a scope, and the ids of the first of them."""

    count: int
    sample: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class NewBulk:
    """An operation to begin; `total` is how many tasks are in its scope."""

    scope: BulkScope
    reason: str
    request_id: str | None
    total: int


@dataclass(frozen=True, slots=True)
class BulkOperation:
    """One operation as it is; it works while `end_time_us` is None."""

    id: bytes
    scope: BulkScope
    reason: str
    request_id: str | None
    cursor: bytes
    total: int
    done: int
    skipped: int
    failed: int
    failures: tuple[BulkFailure, ...]
    create_time_us: int
    update_time_us: int
    end_time_us: int | None
    cancelled: bool


@dataclass(frozen=True, slots=True)
class BulkChunk:
    """The next tasks of an operation that is at `cursor`; `last` when none follow.

    For a retry, `retries` are the new tasks and `failures` says of which old ones there is none.
    """

    operation_id: bytes
    cursor: bytes
    task_ids: tuple[bytes, ...]
    last: bool
    retries: tuple[NewTask, ...] = ()
    failures: tuple[BulkFailure, ...] = ()
