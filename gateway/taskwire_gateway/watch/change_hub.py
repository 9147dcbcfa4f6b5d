"""The hub of watches of many tasks: the change log, read once for all who are at one place of it.

A ring says that the log has grown; without rings it is looked at every two seconds. Every
watcher goes through it at its own pace, and what it has not read waits in SQL and not here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Protocol

from taskwire_core.changes import ChangePage, Cursor
from taskwire_core.errors import StoreUnavailable
from taskwire_core.task import ProgressRing, Task, View

POLL_S = 2.0
GATHER_S = 0.02
GATHER_PER_EAR_S = 0.0005
"""So long rings are gathered: at most fifty looks a second, and the fewer the more watchers
have to look, however much changes."""

PAGE = 500
_SHARED_PAGES = 16
"""Places whose pages are kept for others; watchers who lag behind read their own."""


class ChangeReader(Protocol):
    """The store's side. Each raises StoreUnavailable."""

    async def head(self) -> Cursor:
        """The place in the change log behind everything that is committed."""

    async def changes(self, after: Cursor, limit: int) -> ChangePage:
        """What has changed since; raises CursorExpired."""

    async def tasks(self, ids: Sequence[bytes], view: View) -> Mapping[bytes, Task]:
        """The tasks among `ids` that exist, at most 500 ids at a time."""

    async def some_tasks(
        self, ids: Sequence[bytes], view: View, max_bytes: int
    ) -> tuple[int, Mapping[bytes, Task]]:
        """The tasks among the first of `ids`, and how many ids those are: as many as have inputs
        and results of `max_bytes` in all, but one at least."""


class ChangeBell(Protocol):
    """The feed's side; see `taskwire_db.feed`."""

    async def listen(self) -> None:
        """Hear of all changes from now on, or of a resync."""

    def unlisten(self) -> None:
        """Hear of them no more, once for every listen."""


class Ear:
    """What one watcher hears: that there is something to read, progress of the tasks that it
    has asked for (the newest of each), and that this server goes away."""

    def __init__(self) -> None:
        self.draining = False
        self.wanted: Callable[[bytes], bool] = lambda task_id: False
        """Whose progress is kept."""
        self._event = asyncio.Event()
        self._progress: dict[bytes, ProgressRing] = {}

    async def wait(self, timeout_s: float) -> bool:
        """Whether anything was heard within `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True

    def take_progress(self) -> list[ProgressRing]:
        """The newest progress of each task since the last call."""
        taken, self._progress = self._progress, {}
        return list(taken.values())

    def ring(self) -> None:
        """There may be something to read."""
        self._event.set()

    def put_progress(self, rings: Iterable[ProgressRing]) -> None:
        """Keep what is wanted."""
        for ring in rings:
            if self.wanted(ring.task_id):
                self._progress[ring.task_id] = ring
                self._event.set()


class ChangeHub:
    """Belongs to one event loop; `heard` and `resync` are the feed's callbacks on it."""

    def __init__(
        self, reader: ChangeReader, *, poll_s: float = POLL_S, gather_s: float = GATHER_S
    ) -> None:
        self._reader = reader
        self._poll_s = poll_s
        self._gather_s = gather_s
        self._bell: ChangeBell | None = None
        self._ears: set[Ear] = set()
        self._rung = asyncio.Event()
        self._busy = asyncio.Event()
        self._pages: dict[Cursor, asyncio.Task[ChangePage]] = {}
        self._loop_task: asyncio.Task[None] | None = None
        self._draining = False

    def start(self, bell: ChangeBell) -> None:
        """Begin to wake watchers."""
        self._bell = bell
        self._loop_task = asyncio.create_task(self._wake_forever(), name="change-bell")

    async def close(self) -> None:
        """End; watchers must be gone by then."""
        if self._loop_task is not None:
            self._loop_task.cancel()
            with suppress(asyncio.CancelledError):
                await self._loop_task

    def drain(self) -> None:
        """Tell every watcher, and each that still comes, that this server goes away."""
        self._draining = True
        for ear in self._ears:
            ear.draining = True
            ear.ring()

    @property
    def watchers(self) -> int:
        """How many watchers there are."""
        return len(self._ears)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Ear]:
        """An ear that misses nothing from now on: read the log's head inside."""
        assert self._bell is not None, "the hub was not started"
        ear = Ear()
        ear.draining = self._draining
        self._ears.add(ear)
        self._busy.set()
        listens = False
        try:
            await self._bell.listen()
            listens = True
            # What was read before says nothing of what nobody listened to.
            self._pages.clear()
            yield ear
        finally:
            self._ears.discard(ear)
            if listens:
                self._bell.unlisten()

    def heard(self, progress: Sequence[ProgressRing]) -> None:
        """The feed heard that the log has grown, or of progress."""
        if not progress:
            self._rung.set()
            return
        for ear in self._ears:
            ear.put_progress(progress)

    def resync(self) -> None:
        """The feed was away and may have missed anything."""
        self._rung.set()

    async def page(self, after: Cursor) -> ChangePage:
        """What has changed since, read once for all who ask between two rings.

        Raises:
            CursorExpired: the log does not go back so far.
            StoreUnavailable: the store does not answer.
        """
        reading = self._pages.get(after)
        if reading is None:
            reading = asyncio.create_task(self._reader.changes(after, PAGE))
            if len(self._pages) < _SHARED_PAGES:
                self._pages[after] = reading
        try:
            return await asyncio.shield(reading)
        except StoreUnavailable:
            self._pages.pop(after, None)
            raise

    async def _wake_forever(self) -> None:
        while True:
            if not self._ears:
                self._busy.clear()
                await self._busy.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_s):
                    await self._rung.wait()
            self._rung.clear()
            # What was read before the ring says nothing of what came after it.
            self._pages.clear()
            for ear in self._ears:
                ear.ring()
            await asyncio.sleep(self._gather_s + len(self._ears) * GATHER_PER_EAR_S)
