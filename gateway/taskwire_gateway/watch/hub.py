"""The hub: doorbells in, tasks out to every watcher's slot.

A doorbell says that a task has a new version, and may bring the task along. If it does not, the
hub gathers the ids that rang while its last read was under way and reads them in one query; ended
tasks come from the feed's snapshots where it has them. An id that was silent for five seconds is
checked in SQL, so that a lost doorbell costs five seconds and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress

from taskwire_core.errors import StoreUnavailable
from taskwire_core.failpoints import ARMED, hit
from taskwire_core.task import AnyRing, Deleted, ProgressRing, Task, View
from taskwire_gateway.ports import Announcements, TaskReader
from taskwire_gateway.watch.slot import End, Slot

log = logging.getLogger(__name__)

SILENCE_S = 5.0
POLL_S = 1.0
GROUP = 500
STORE_PAUSE_S = 0.5


class _Watched:
    """One task with its watchers, and when anything was heard of it."""

    __slots__ = ("ended", "heard", "slots")

    def __init__(self, heard: float) -> None:
        self.slots: set[Slot] = set()
        self.heard = heard
        self.ended = False


class WatchHub:
    """Belongs to one event loop; `ring` and `resync` are the feed's callbacks on it."""

    def __init__(
        self,
        reader: TaskReader,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        silence_s: float = SILENCE_S,
        poll_s: float = POLL_S,
    ) -> None:
        self._reader = reader
        self._monotonic = monotonic
        self._silence_s = silence_s
        self._poll_s = poll_s
        self._feed: Announcements | None = None
        self._watched: dict[bytes, _Watched] = {}
        self._wanted: set[bytes] = set()
        self._wake = asyncio.Event()
        self._busy = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []
        self.draining = False
        """Whether every watcher has been told to go."""

    def start(self, feed: Announcements) -> None:
        """Begin to read and to poll; `feed` must be told of `ring` and `resync` already."""
        self._feed = feed
        self._loops = [
            asyncio.create_task(self._read_forever(), name="watch-reads"),
            asyncio.create_task(self._poll_forever(), name="watch-poll"),
        ]

    async def close(self) -> None:
        """End the loops; watchers must be gone by then."""
        for loop in self._loops:
            loop.cancel()
        for loop in self._loops:
            with suppress(asyncio.CancelledError):
                await loop

    def drain(self) -> None:
        """Tell every watcher, and each that still comes, that this server goes away."""
        self.draining = True
        for watched in self._watched.values():
            for slot in watched.slots:
                slot.put_end(End.SERVER_DRAINING)

    @property
    def watchers(self) -> int:
        """How many watchers there are."""
        return sum(len(watched.slots) for watched in self._watched.values())

    @asynccontextmanager
    async def watch(self, task_id: bytes, *, terminal_only: bool = False) -> AsyncIterator[Slot]:
        """A slot that hears of the task from now on: read the task's present state inside.

        The slot drops every version that is not greater than its `seen`.
        """
        assert self._feed is not None, "the hub was not started"
        slot = Slot(task_id, terminal_only=terminal_only)
        if self.draining:
            slot.put_end(End.SERVER_DRAINING)
        watched = self._watched.setdefault(task_id, _Watched(self._monotonic()))
        watched.slots.add(slot)
        self._busy.set()
        subscribed = False
        try:
            await self._feed.subscribe(task_id)
            subscribed = True
            yield slot
        finally:
            watched.slots.discard(slot)
            if not watched.slots and self._watched.get(task_id) is watched:
                del self._watched[task_id]
            if subscribed:
                self._feed.unsubscribe(task_id)

    def ring(self, ring: AnyRing) -> None:
        """The feed heard of a task."""
        watched = self._watched.get(ring.task_id)
        if watched is None:
            return
        watched.heard = self._monotonic()
        if isinstance(ring, Deleted):
            for slot in watched.slots:
                slot.put_end(End.DELETED)
        elif isinstance(ring, ProgressRing):
            for slot in watched.slots:
                slot.put_progress(ring)
        elif any(
            ring.version > slot.seen and (ring.state.terminal or not slot.terminal_only)
            for slot in watched.slots
        ):
            if ARMED:
                hit("watch.rung")
            if ring.task is not None:
                self._deliver(ring.task_id, ring.task)
            else:
                watched.ended = watched.ended or ring.state.terminal
                self._want([ring.task_id])

    def resync(self) -> None:
        """The feed was away and may have missed anything: look at every watched task."""
        self._want(self._watched)

    def _want(self, ids: Iterable[bytes]) -> None:
        self._wanted.update(ids)
        self._wake.set()

    async def _read_forever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            wanted, self._wanted = self._wanted, set()
            ids = [task_id for task_id in wanted if task_id in self._watched]
            for start in range(0, len(ids), GROUP):
                await self._read_guarded(ids[start : start + GROUP])

    async def _read_guarded(self, ids: list[bytes]) -> None:
        try:
            await self._read(ids)
        except StoreUnavailable:
            await asyncio.sleep(STORE_PAUSE_S)
            self._want(ids)
        except Exception:
            # The safety poll comes back to these ids; the loop must live for all the others.
            log.exception("reading watched tasks failed")

    async def _read(self, ids: list[bytes]) -> None:
        assert self._feed is not None, "the hub was not started"
        # A durable call watches its task before that is committed, and may learn that it is while
        # this read, which does not show it yet, is under way.
        known = {slot for task_id in ids for slot in self._slots(task_id) if slot.seen}
        ended = [task_id for task_id in ids if self._is_ended(task_id)]
        found = dict(await self._feed.snapshots(ended)) if ended else {}
        rest = [task_id for task_id in ids if task_id not in found]
        if rest:
            found.update(await self._reader.tasks(rest, View.OUTCOME))
        for task_id in ids:
            if (task := found.get(task_id)) is not None:
                self._deliver(task_id, task)
            else:
                for slot in known.intersection(self._slots(task_id)):
                    slot.put_end(End.DELETED)

    def _slots(self, task_id: bytes) -> set[Slot]:
        watched = self._watched.get(task_id)
        return watched.slots if watched is not None else set()

    def _is_ended(self, task_id: bytes) -> bool:
        watched = self._watched.get(task_id)
        return watched is not None and watched.ended

    def _deliver(self, task_id: bytes, task: Task) -> None:
        watched = self._watched.get(task_id)
        if watched is None:
            return
        watched.ended = task.state.terminal
        for slot in watched.slots:
            slot.put_task(task)

    async def _poll_forever(self) -> None:
        while True:
            if not self._watched:
                self._busy.clear()
                await self._busy.wait()
            await asyncio.sleep(self._poll_s)
            silent = self._silent()
            for start in range(0, len(silent), GROUP):
                await self._check(silent[start : start + GROUP])

    def _silent(self) -> list[bytes]:
        before = self._monotonic() - self._silence_s
        return [task_id for task_id, found in self._watched.items() if found.heard <= before]

    async def _check(self, ids: list[bytes]) -> None:
        try:
            versions = await self._reader.versions(ids)
        except StoreUnavailable:
            return  # The next poll asks again.
        except Exception:
            log.exception("checking watched tasks failed")
            return
        now = self._monotonic()
        for task_id in ids:
            watched = self._watched.get(task_id)
            if watched is None:
                continue
            watched.heard = now
            version = versions.get(task_id)
            if version is None or any(version > slot.seen for slot in watched.slots):
                self._want([task_id])
