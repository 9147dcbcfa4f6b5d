"""Following many tasks: the rules of WatchTasks (docs/architecture.md), without gRPC."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from taskwire_core.changes import Change, ChangePage, Cursor, CursorExpired
from taskwire_core.errors import InvalidRequest, RequestError, StoreUnavailable, Unavailable
from taskwire_core.failpoints import ARMED, hit
from taskwire_core.failure import Code
from taskwire_core.filters import EVERYTHING, matches
from taskwire_core.task import Task, View
from taskwire_gateway.admission import draining
from taskwire_gateway.use_cases.listing import TaskLists
from taskwire_gateway.watch.change_hub import ChangeHub, ChangeReader, Ear
from taskwire_gateway.watch.many import (
    NOTHING,
    Event,
    Place,
    Removed,
    Send,
    Synced,
    Wish,
)
from taskwire_gateway.watch.shown import Shown
from taskwire_gateway.watch.slot import End
from taskwire_gateway.watch.watched_set import LISTED, READ_BYTES, WatchedSet
from taskwire_gateway.watch.watching import MAX_AGE, Heartbeat

STORE_PAUSE_S = 0.5


class WatchingMany:
    """The use case behind WatchTasks."""

    def __init__(
        self,
        hub: ChangeHub,
        reader: ChangeReader,
        lists: TaskLists,
        *,
        max_age: timedelta = MAX_AGE,
    ) -> None:
        self._hub = hub
        self._reader = reader
        self._lists = lists
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
            if ARMED:
                hit("changes.listening")
            watched = WatchedSet(wish, self._reader, self._lists)
            watch = _Watch(watched, send, ear, self._hub, self._reader, self._max_age_s)
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
        watched: WatchedSet,
        send: Send,
        ear: Ear,
        hub: ChangeHub,
        reader: ChangeReader,
        max_age_s: float,
    ) -> None:
        self._set = watched
        self._wish = wish = watched.wish
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
            if ARMED:
                hit("changes.begun")
            self._resumes = place.listed != NOTHING
            if place.listed == NOTHING:
                await self._set.require_ids()
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

    async def _remember(self, upto: bytes | None) -> None:
        """Find out what the streams before this one may have shown, up to an id or all of it.

        Its versions are not known, so that whatever has changed since is sent.
        """
        listed: bytes | None = NOTHING
        live: set[bytes] = set()
        while listed is not None and self._may_go_on(listed, upto):
            some, listed = await self._set.page(listed, View.BASIC)
            before = [task for task in some if upto is None or task.id <= upto]
            live.update(task.id for task in before if not task.state.terminal)
            for task in before:
                self._shown.expect(task.id)
        if upto is None:
            self._open &= live
        else:
            self._open = {i for i in self._open if i in live or i > upto}

    def _may_go_on(self, listed: bytes, upto: bytes | None) -> bool:
        within = upto is None or listed < upto
        return within and (self._shown.complete or self._wish.ids is not None)

    async def _send_initial(self, place: Place) -> None:
        listed = place.listed
        while listed is not None:
            some, listed = await self._set.page(listed, self._wish.view)
            for task in some:
                await self._show(task, replace(place, listed=task.id))
            # Among a million tasks the few that match may be far between.
            await self._beat_if_silent()
            self._require_going_on()
        if ARMED:
            hit("changes.syncing")
        await self._send(Synced(), replace(place, listed=None))

    # The changes.

    async def _follow(self, cursor: Cursor) -> None:
        while True:
            page = await self._next_page(cursor)
            if ARMED and page.changes:
                hit("changes.read")
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
        watched = [change for change in page.changes if self._set.may_have(change)]
        while watched:
            count, found = await self._widened(page, watched)
            for change in watched[:count]:
                await self._send_change(change, page, found)
            watched = watched[count:]
            self._require_going_on()

    async def _widened(
        self, page: ChangePage, changes: Sequence[Change]
    ) -> tuple[int, Mapping[bytes, Task]]:
        """How many of the first changes are next, and those of their tasks that will be sent, in
        the view that is asked for."""
        if self._wish.view == View.BASIC:
            return len(changes), page.tasks
        places = {
            task.id: place
            for place, change in enumerate(changes)
            if (task := page.tasks.get(change.task_id)) is not None
            and self._shown.is_news(task)
            and matches(task, self._wish.filter)
        }
        news = list(places)[:LISTED]
        if not news:
            return len(changes), {}
        count, found = await self._reader.some_tasks(news, self._wish.view, READ_BYTES)
        rest = list(places)[count:]
        return places[rest[0]] if rest else len(changes), found

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
