"""What the gateway asks of the rooms below it, each port in the words of its consumer."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec import Struct

from taskwire_core.task import AnyRing, Dispatch, NewTask, ProgressRing, Task, View
from taskwire_gateway.workers_alive import Served


class Planned(Struct, frozen=True):
    """A task to record; `publish` says that this gateway will hand it to the broker itself."""

    task: NewTask
    publish: bool


class Recorded(Struct, frozen=True):
    """A recorded task in the BASIC view; `created` is False if its request id had made it."""

    task: Task
    created: bool


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The task as it is now; `effective` is False when it had already ended."""

    task: Task
    effective: bool


class RequestIdsReused(Exception):
    """Nothing was recorded: the request ids at these positions were used with other content."""

    def __init__(self, positions: Sequence[int]) -> None:
        super().__init__(f"request ids reused at {list(positions)}")
        self.positions = tuple(positions)


class TaskWriter(Protocol):
    """Writes that callers ask for. Each raises StoreUnavailable when nothing was written."""

    async def submit(self, tasks: Sequence[Planned]) -> list[Recorded]:
        """Record all of `tasks` or none, in one transaction; raises RequestIdsReused."""

    async def cancel(
        self, task_id: bytes, *, owner: str, reason: str, actor: str
    ) -> Cancelled | None:
        """Cancel a task; None when `owner` has no such task."""


class RunNow(Protocol):
    """A write that callers ask for. Raises StoreUnavailable when nothing was written."""

    async def run_now(self, task_id: bytes, *, owner: str, actor: str) -> tuple[Task, bool] | None:
        """Queue a task that waits for a time: the task as it is now, and whether it did.

        None when `owner` has no such task.
        """


class TaskReader(Protocol):
    """Reads of committed state. Each raises StoreUnavailable."""

    async def tasks(self, ids: Sequence[bytes], view: View) -> Mapping[bytes, Task]:
        """The tasks among `ids` that exist, at most 500 ids at a time."""

    async def some_tasks(
        self, ids: Sequence[bytes], view: View, max_bytes: int
    ) -> tuple[int, Mapping[bytes, Task]]:
        """The tasks among the first of `ids`, and how many ids those are: as many as have inputs
        and results of `max_bytes` in all, but one at least."""

    async def versions(self, ids: Sequence[bytes]) -> Mapping[bytes, int]:
        """The versions of the tasks among `ids` that exist, at most 500 ids at a time."""

    async def by_request_id(self, owner: str, request_id: str) -> tuple[Task, bytes] | None:
        """The task that a request id made, in the BASIC view, with the request's hash.

        None when it is unused.
        """

    async def live_workers(self) -> Served:
        """How many live worker processes run what."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """What a feed calls, all on its event loop: see `taskwire_db.feed.ports`."""

    ring: Callable[[AnyRing], None]
    resync: Callable[[], None]
    backlog: Callable[[], None]
    changes: Callable[[Sequence[ProgressRing]], None]
    wanted: Container[bytes]


class Announcements(Protocol):
    """The gateway's side of the feed; see `taskwire_db.feed`."""

    async def subscribe(self, task_id: bytes) -> None:
        """Hear of the task from now on, or of a resync."""

    def unsubscribe(self, task_id: bytes) -> None:
        """Hear of it no more, once for every subscribe."""

    async def listen(self) -> None:
        """Hear of all changes from now on, or of a resync."""

    def unlisten(self) -> None:
        """Hear of them no more, once for every listen."""

    async def snapshots(self, ids: Sequence[bytes]) -> Mapping[bytes, Task]:
        """The ended tasks among `ids` that the feed remembers, in the OUTCOME view."""


class Broker(Protocol):
    """Where queued tasks go; see `taskwire_broker.publisher`."""

    @property
    def connected(self) -> bool:
        """Whether a publish has a chance now."""

    def publish(self, dispatches: Sequence[Dispatch]) -> None:
        """Hand these over; never blocks. Each is answered once, as confirmed or refused."""


class DispatchMarks(Protocol):
    """The outbox's side of the store. Each raises StoreUnavailable."""

    async def mark_dispatched(self, dispatches: Sequence[Dispatch]) -> None:
        """The broker has these; rows that do not wait for them any more are left alone."""

    async def dispatched(self) -> Mapping[str, int]:
        """How many queued tasks of each queue are with the broker and not claimed."""

    async def release_unpublished(self) -> int:
        """Give the rows of this gateway that are not marked to the backlog; how many."""


class Clock(Protocol):
    """Where the present comes from."""

    def now_us(self) -> int:
        """Microseconds since 1970."""
