"""The feed without a server: announcer, feeds and bells of one process, for embedded mode."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Container, Sequence

from taskwire_core.lifecycle import State
from taskwire_core.task import AnyRing, Deleted, ProgressRing, Ring, Task
from taskwire_db.feed.ports import Either, OnBacklog, OnCancel, OnChanges, OnRing
from taskwire_db.feed.wire import comes_along, outcome, worth_a_snapshot

_SNAPSHOTS_KEPT = 1024

log = logging.getLogger(__name__)


class EmbeddedBus:
    """What the embedded announcer, feeds and bells of a process share; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._snapshots: OrderedDict[bytes, Task] = OrderedDict()
        self.feeds: set[EmbeddedFeed] = set()
        self.bells: dict[bytes, OnCancel] = {}

    def remember(self, changes: Sequence[Task | Deleted]) -> None:
        """Keep the outcome of the ended tasks, the newest thousand of them."""
        with self._lock:
            for change in changes:
                if isinstance(change, Deleted):
                    self._snapshots.pop(change.task_id, None)
                elif worth_a_snapshot(change):
                    self._snapshots[change.id] = outcome(change)
            while len(self._snapshots) > _SNAPSHOTS_KEPT:
                self._snapshots.popitem(last=False)

    def recall(self, ids: Sequence[bytes]) -> dict[bytes, Task]:
        """Those of the tasks that are remembered."""
        with self._lock:
            return {each: self._snapshots[each] for each in ids if each in self._snapshots}


class EmbeddedAnnouncer:
    """See `taskwire_db.feed.ports.Announcer`."""

    def __init__(self, bus: EmbeddedBus) -> None:
        self._bus = bus

    def announce(self, changes: Sequence[Task | Deleted]) -> None:
        self._bus.remember(changes)
        self._ring([_ring_of(change) for change in changes])
        if any(isinstance(change, Task) and change.state is State.QUEUED for change in changes):
            for feed in list(self._bus.feeds):
                feed.heard_of_backlog()
        self._ring_for_all(())
        for task in changes:
            if isinstance(task, Deleted):
                continue
            bell = self._bus.bells.get(task.worker_id) if task.worker_id else None
            if task.state is State.CANCELLING and bell is not None:
                bell(task.id, task.attempt)

    def progress(self, rings: Sequence[ProgressRing]) -> None:
        self._ring(rings)
        self._ring_for_all(rings)

    def close(self, timeout: float) -> None:
        """Nothing is ever queued here."""

    def _ring(self, rings: Sequence[AnyRing]) -> None:
        for feed in list(self._bus.feeds):
            feed.heard(rings)

    def _ring_for_all(self, progress: Sequence[ProgressRing]) -> None:
        for feed in list(self._bus.feeds):
            feed.heard_of_changes(progress)


def _ring_of(change: Task | Deleted) -> Ring | Deleted:
    if isinstance(change, Deleted):
        return change
    task = outcome(change) if comes_along(change) else None
    return Ring(change.id, change.version, change.state, task)


class EmbeddedFeed:
    """See `taskwire_db.feed.ports.Feed`; it never misses a ring, so it never resyncs."""

    def __init__(
        self,
        bus: EmbeddedBus,
        *,
        on_ring: OnRing,
        on_resync: Callable[[], None],
        on_backlog: OnBacklog = lambda: None,
        on_changes: OnChanges = lambda progress: None,
        wanted: Container[bytes] = (),
    ) -> None:
        self._bus = bus
        self._on_ring = on_ring
        self._on_backlog = on_backlog
        self._on_changes = on_changes
        self._listeners = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._subscribed: Counter[bytes] = Counter()
        self._wanted = Either(self._subscribed, wanted)

    @property
    def listening(self) -> bool:
        """Whether rings arrive now."""
        return self in self._bus.feeds

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._bus.feeds.add(self)

    async def close(self) -> None:
        self._bus.feeds.discard(self)

    async def subscribe(self, task_id: bytes) -> None:
        self._subscribed[task_id] += 1

    def unsubscribe(self, task_id: bytes) -> None:
        self._subscribed[task_id] -= 1
        if self._subscribed[task_id] <= 0:
            del self._subscribed[task_id]

    async def listen(self) -> None:
        self._listeners += 1

    def unlisten(self) -> None:
        self._listeners -= 1

    async def snapshots(self, ids: Sequence[bytes]) -> dict[bytes, Task]:
        return self._bus.recall(ids)

    def heard(self, rings: Sequence[AnyRing]) -> None:
        """Take rings from any thread; those that nobody wants cost no turn of the loop."""
        wanted = [each for each in rings if each.task_id in self._wanted]
        if wanted and self._loop is not None:
            # The loop may have ended a moment ago.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._deliver, wanted)

    def heard_of_backlog(self) -> None:
        """Tasks were queued that the gateway is to publish; from any thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._on_backlog)

    def heard_of_changes(self, progress: Sequence[ProgressRing]) -> None:
        """Tasks changed, or have progress; from any thread."""
        if self._listeners and self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._on_changes, progress)

    def _deliver(self, rings: Sequence[AnyRing]) -> None:
        for ring in rings:
            if ring.task_id in self._wanted:
                self._on_ring(ring)


class EmbeddedCancelBell:
    """See `taskwire_db.feed.ports.CancelBell`; it rings in the announcing thread."""

    def __init__(self, bus: EmbeddedBus, worker_id: bytes, *, on_cancel: OnCancel) -> None:
        self._bus = bus
        self._worker_id = worker_id
        self._on_cancel = on_cancel

    def start(self) -> None:
        self._bus.bells[self._worker_id] = self._on_cancel

    def close(self, timeout: float) -> None:
        self._bus.bells.pop(self._worker_id, None)
