"""Following many tasks: the rules of WatchTasks (docs/architecture.md), without gRPC."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

from taskwire_core.changes import Change, ChangePage, Cursor, CursorExpired
from taskwire_core.errors import InvalidRequest, RequestError, StoreUnavailable, Unavailable
from taskwire_core.failure import Code
from taskwire_core.filters import EVERYTHING, Filter, matches
from taskwire_core.task import ProgressRing, Task, View
from taskwire_gateway.admission import draining
from taskwire_gateway.use_cases.reading import task_not_found
from taskwire_gateway.watch.change_hub import ChangeHub, ChangeReader, Ear
from taskwire_gateway.watch.shown import Shown
from taskwire_gateway.watch.slot import End
from taskwire_gateway.watch.watching import DEFAULT_HEARTBEAT, MAX_AGE, Heartbeat

NOTHING = b""
"""The place before the first id."""

STORE_PAUSE_S = 0.5

LISTED = 200
"""How many tasks of the initial set are looked for at a time."""

READ = 8
"""How many are read at a time in a view that may have megabytes of each."""


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


Item = TypeVar("Item")
Event = Task | ProgressRing | Removed | Synced | Heartbeat | End
Send = Callable[[Event, Place], Awaitable[None]]


class WatchingMany:
    """The use case behind WatchTasks."""

    def __init__(
        self, hub: ChangeHub, reader: ChangeReader, *, max_age: timedelta = MAX_AGE
    ) -> None:
        self._hub = hub
        self._reader = reader
        self._max_age_s = max_age.total_seconds()

    async def watch(self, wish: Wish, send: Send, *, resume: Place | None = None) -> None:
        """Send the tasks and their changes; return when all of `wish.ids` have ended.

        Raises:
            RequestError: one of the ids is no task's, the place to resume from is too old, or
                the watch was cut by this server (after that was sent).
            StoreUnavailable: the store did not answer.
        """
        # Listen first, then read, so that nothing falls between.
        async with self._hub.listening() as ear:
            watch = _Watch(wish, send, ear, self._hub, self._reader, max_age_s=self._max_age_s)
            try:
                await watch.run(resume)
            except CursorExpired:
                raise _expired() from None


class _Cut(Exception):
    """The watch ends here, for the reason `end`."""

    def __init__(self, end: End) -> None:
        self.end = end


class _Watch:
    """One watch in progress."""

    def __init__(
        self,
        wish: Wish,
        send: Send,
        ear: Ear,
        hub: ChangeHub,
        reader: ChangeReader,
        *,
        max_age_s: float,
    ) -> None:
        self._wish = wish
        self._to_client = send
        self._ear = ear
        self._hub = hub
        self._reader = reader
        self._now = asyncio.get_running_loop().time
        # Watchers that came together do not come back together.
        self._too_old = self._now() + max_age_s * random.uniform(0.9, 1.0)  # noqa: S311
        # Of everything, whatever is deleted was there.
        self._shown = Shown(complete=wish.ids is not None or wish.filter != EVERYTHING)
        self._open = set(wish.ids or ())
        """Those of the ids that have not ended."""
        self._resumes = False
        """Whether what is read now changed while no stream of this watch was open."""
        self._place = Place(Cursor(""))
        self._sent_at = self._now()
        ear.wanted = self._shown.is_live

    async def run(self, resume: Place | None) -> None:
        """The whole of it."""
        try:
            place = resume or Place(await self._reader.head(), NOTHING)
            self._place = place
            self._resumes = place.listed != NOTHING
            if place.listed == NOTHING:
                await self._require_ids()
            else:
                await self._remember(place.listed)
            if place.listed is None:
                await self._send(Heartbeat(), place)
            else:
                await self._send_initial(place)
            await self._follow(place.cursor)
        except _Cut as cut:
            await self._to_client(cut.end, self._place)
            if cut.end is not End.TERMINAL:
                raise _because(cut.end) from None

    # The initial set.

    async def _require_ids(self) -> None:
        for some in _chunks(sorted(self._wish.ids or ()), LISTED):
            found = await self._reader.tasks(some, View.BASIC)
            for task_id in some:
                if task_id not in found or found[task_id].owner != self._wish.owner:
                    raise task_not_found(task_id)

    async def _remember(self, upto: bytes | None) -> None:
        """Find out what the streams before this one may have shown, up to an id or all of it.

        Its versions are not known, so that whatever has changed since is sent.
        """
        listed: bytes | None = NOTHING
        while listed is not None and self._may_go_on(listed, upto):
            ids, listed = await self._list(listed)
            before = [task_id for task_id in ids if upto is None or task_id <= upto]
            for task_id in before:
                self._shown.expect(task_id)
            if self._wish.ids is not None:
                found = await self._reader.tasks(before, View.BASIC)
                self._open -= {i for i in before if i not in found or found[i].state.terminal}

    def _may_go_on(self, listed: bytes, upto: bytes | None) -> bool:
        within = upto is None or listed < upto
        return within and (self._shown.complete or self._wish.ids is not None)

    async def _send_initial(self, place: Place) -> None:
        listed = place.listed
        while listed is not None:
            ids, listed = await self._list(listed)
            for some in _chunks(ids, READ):
                found = await self._reader.tasks(some, self._wish.view)
                for task in (found[task_id] for task_id in some if task_id in found):
                    if matches(task, self._wish.filter):
                        await self._show(task, replace(place, listed=task.id))
                self._require_going_on()
        await self._send(Synced(), replace(place, listed=None))

    async def _list(self, after: bytes) -> tuple[Sequence[bytes], bytes | None]:
        """The next ids of the watched set, and where they go on."""
        if self._wish.ids is None:
            return await self._reader.matching(self._wish.owner, self._wish.filter, after, LISTED)
        rest = sorted(task_id for task_id in self._wish.ids if task_id > after)
        return rest[:LISTED], rest[LISTED - 1] if len(rest) > LISTED else None

    # The changes.

    async def _follow(self, cursor: Cursor) -> None:
        while True:
            page = await self._next_page(cursor)
            await self._send_page(page)
            cursor = page.next
            if page.more:
                continue
            self._resumes = False
            self._place = Place(cursor)
            for ring in self._ear.take_progress():
                if self._shown.is_live(ring.task_id):
                    await self._send(ring, self._place)
            if self._wish.ids is not None and not self._open:
                raise _Cut(End.TERMINAL)
            await self._rest()

    async def _next_page(self, cursor: Cursor) -> ChangePage:
        while True:
            self._require_going_on()
            try:
                return await self._hub.page(cursor)
            except StoreUnavailable:
                await self._beat_if_silent()
                await asyncio.sleep(STORE_PAUSE_S)

    async def _rest(self) -> None:
        """Wait until there is something to read; a heartbeat when it takes long."""
        while True:
            self._require_going_on()
            until = min(self._sent_at + self._wish.heartbeat.total_seconds(), self._too_old)
            if await self._ear.wait(max(0.0, until - self._now())):
                return
            await self._beat_if_silent()

    async def _beat_if_silent(self) -> None:
        if self._now() >= self._sent_at + self._wish.heartbeat.total_seconds():
            await self._send(Heartbeat(), self._place)

    async def _send_page(self, page: ChangePage) -> None:
        watched = [change for change in page.changes if self._is_watched(change)]
        for some in _chunks(watched, READ):
            found = await self._widened(page, some)
            for change in some:
                await self._send_change(change, page, found)
            self._require_going_on()

    def _is_watched(self, change: Change) -> bool:
        ids = self._wish.ids
        return change.owner == self._wish.owner and (ids is None or change.task_id in ids)

    async def _widened(self, page: ChangePage, changes: Sequence[Change]) -> Mapping[bytes, Task]:
        """Those of the changed tasks that will be sent, in the view that is asked for."""
        if self._wish.view == View.BASIC:
            return page.tasks
        news = [
            task.id
            for change in changes
            if (task := page.tasks.get(change.task_id)) is not None
            and self._shown.is_news(task)
            and matches(task, self._wish.filter)
        ]
        return await self._reader.tasks(news, self._wish.view) if news else {}

    async def _send_change(
        self, change: Change, page: ChangePage, found: Mapping[bytes, Task]
    ) -> None:
        task = page.tasks.get(change.task_id)
        if change.deleted:
            await self._remove(change, deleted=True)
        elif task is not None and not matches(task, self._wish.filter):
            await self._remove(change, deleted=False)
        # One that is not there, or is another one than it was, has a later change in the log.
        elif (wide := found.get(change.task_id)) and matches(wide, self._wish.filter):
            await self._show(wide, Place(change.cursor))

    async def _show(self, task: Task, place: Place) -> None:
        if not self._shown.is_news(task):
            return
        self._shown.note(task)
        if task.state.terminal:
            self._open.discard(task.id)
        await self._send(task, place)

    async def _remove(self, change: Change, *, deleted: bool) -> None:
        # What left while nobody looked is not among what matches now, and may have been shown.
        sure = self._wish.ids is None and not self._resumes
        if not sure or self._shown.may_have(change.task_id):
            self._shown.forget(change.task_id)
            self._open.discard(change.task_id)
            await self._send(Removed(change.task_id, deleted), Place(change.cursor))

    async def _send(self, event: Event, place: Place) -> None:
        await self._to_client(event, place)
        self._place = place
        self._sent_at = self._now()

    def _require_going_on(self) -> None:
        if self._ear.draining:
            raise _Cut(End.SERVER_DRAINING)
        if self._now() >= self._too_old:
            raise _Cut(End.MAX_AGE)


def _chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _because(end: End) -> RequestError:
    if end is not End.MAX_AGE:
        return draining()
    return Unavailable(
        "SERVER_DRAINING",
        "This watch has become too old; call again with the last resume_token.",
        retry_after=timedelta(milliseconds=100),
    )


def _expired() -> InvalidRequest:
    return InvalidRequest(
        "RESUME_TOKEN_EXPIRED",
        "The server does not remember any more what has changed since this resume token; watch"
        " again without one, and begin with the whole set.",
        code=Code.OUT_OF_RANGE,
    )
