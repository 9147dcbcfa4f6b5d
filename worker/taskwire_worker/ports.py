"""What this room needs of the others, each said by the side that needs it.

The adapters are wired in `main.py`; tests bring fakes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from taskwire_core.recovery import Settlement
from taskwire_core.task import Dispatch, NewTask, ProgressRing, Task


class AttemptOver(Exception):
    """The attempt is not its task's running one any more; nothing was submitted."""


class KeyReused(Exception):
    """The request id was used with other content; nothing was submitted."""


class Ledger(Protocol):
    """The store, as one worker process writes into it."""

    def claim(self, dispatches: Sequence[Dispatch]) -> Sequence[Task]:
        """Makes those tasks RUNNING here that can be, and answers with them and their input.

        Raises:
            StoreUnavailable: nothing was claimed.
        """

    def settle(self, settlement: Settlement) -> Future[Task | None]:
        """Ends an attempt; None when it was not ours any more. Fails with StoreUnavailable."""

    def submit(self, child: NewTask, attempt: int) -> Future[bytes]:
        """Records a task of its parent's attempt `attempt`, or finds the one that its request id
        has made; its id. Fails with AttemptOver, KeyReused or StoreUnavailable."""

    def unhandled(self, dispatches: Sequence[Dispatch]) -> None:
        """Clears the marks of dispatches that this worker has no handler for; best effort."""

    def progress(self, rings: Sequence[ProgressRing]) -> None:
        """Stores the newest progress of running attempts; best effort, never blocks."""

    def refused(self, queue: str, body: bytes, problem: str) -> None:
        """Records a message that is none of ours; best effort, never blocks."""


class Doorbell(Protocol):
    """Tells watchers about progress; never blocks, never raises."""

    def progress(self, rings: Sequence[ProgressRing]) -> None:
        """Rings for each; may be lost."""


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A worker process as everybody sees it; `types` with a handler, `queues` it consumes."""

    id: bytes
    host: str
    pid: int
    slots: int
    types: tuple[str, ...]
    queues: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker's heartbeat says: how many deliveries it holds and has not claimed, and
    whether it takes no more."""

    unclaimed: int = 0
    draining: bool = False


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a heartbeat brings: the workers whose lease still stood, and by worker which of its
    attempts (task id, attempt) are being cancelled."""

    alive: frozenset[bytes]
    cancelling: Mapping[bytes, Sequence[tuple[bytes, int]]]


class WorkerBook(Protocol):
    """The store's list of worker processes, kept by their supervisor. Every method may raise
    StoreUnavailable; doing it again is always right, whether it was written or not."""

    def register(self, worker: WorkerRow) -> None:
        """Adds a worker with a fresh lease; changes nothing when it is there already."""

    def renew(self, reports: Mapping[bytes, Report]) -> Renewal:
        """Renews the leases of these workers in one round trip."""

    def lost(self, worker_id: bytes) -> None:
        """Its process is dead: the lease expires now."""

    def retired(self, worker_id: bytes) -> None:
        """Its process has ended in order: hands back what it still holds, deletes its row."""
