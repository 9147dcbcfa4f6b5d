"""Following one task: the rules of a watch (docs/architecture.md), without gRPC."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from taskwire_core.errors import InvalidRequest, NotFound, RequestError, Unavailable
from taskwire_core.failpoints import ARMED, hit
from taskwire_core.failure import Code
from taskwire_core.lifecycle import WAITING
from taskwire_core.task import ProgressRing, Task, View
from taskwire_gateway.admission import draining
from taskwire_gateway.use_cases.reading import GroupReader
from taskwire_gateway.watch.hub import WatchHub
from taskwire_gateway.watch.slot import End, Slot

MAX_AGE = timedelta(minutes=50)
DEFAULT_HEARTBEAT = timedelta(seconds=15)
LONGEST_WAIT = timedelta(seconds=50)
DEADLINE_MARGIN_S = 0.25


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Nothing happened; `task` is the watched one where it has not started."""

    task: Task | None = None


Event = Task | ProgressRing | Heartbeat | End
Send = Callable[[Event], Awaitable[None]]


class Tombstones(Protocol):
    """What the store remembers of deleted tasks, for an hour. Raises StoreUnavailable."""

    async def was_deleted(self, task_id: bytes, *, owner: str) -> bool:
        """Whether `owner` had this task, and it is deleted."""


class Watching:
    """The use cases behind WatchTask and WaitTask."""

    def __init__(
        self,
        hub: WatchHub,
        tasks: GroupReader,
        tombstones: Tombstones,
        *,
        max_age: timedelta = MAX_AGE,
    ) -> None:
        self._hub = hub
        self._tasks = tasks
        self._tombstones = tombstones
        self._max_age_s = max_age.total_seconds()

    async def watch(
        self,
        task_id: bytes,
        send: Send,
        *,
        owner: str,
        after_version: int = 0,
        view: View = View.OUTCOME,
        heartbeat: timedelta = DEFAULT_HEARTBEAT,
    ) -> None:
        """Send the task and its changes until it has ended; return after the end was sent.

        Raises:
            RequestError: no such task, a version that it does not have yet, or the watch was
                cut by this server (after that was sent).
            StoreUnavailable: the store did not answer.
        """
        # 1: subscribe first, then read, so that nothing falls between.
        async with self._hub.watch(task_id) as slot:
            if ARMED:
                hit("watch.subscribed")
            try:
                task = await self._tasks.task(task_id, view, owner=owner)
            except NotFound:
                # Whoever comes back to a task is told of its deletion as if it had been there.
                if not after_version or not await self._tombstones.was_deleted(
                    task_id, owner=owner
                ):
                    raise
                await send(End.DELETED)
                return
            if after_version > task.version:
                raise _version_ahead(task, after_version)
            slot.start_after(task.version)
            if ARMED:
                hit("watch.read")
            if task.version > after_version:
                await send(task)
            else:
                await send(_sign_of_life(task))
            if task.state.terminal:
                if ARMED:
                    hit("watch.ending")
                await send(End.TERMINAL)
                return
            await self._follow(slot, send, view=view, silence_s=heartbeat.total_seconds())

    async def wait(
        self, task_id: bytes, *, owner: str, timeout_s: float, view: View = View.OUTCOME
    ) -> tuple[Task, bool]:
        """The task, and whether it had not ended after `timeout_s`.

        Raises:
            RequestError: no such task, or this server goes away.
            StoreUnavailable: the store did not answer.
        """
        async with self._hub.watch(task_id, terminal_only=True) as slot:
            task = await self._tasks.task(task_id, View.OUTCOME, owner=owner)
            slot.start_after(task.version)
            if not task.state.terminal and timeout_s > 0:
                task = await self.until_ended(slot, timeout_s=timeout_s) or task
        ended = task.state.terminal
        if not ended or view == View.FULL:
            task = await self._tasks.task(task_id, view, owner=owner)
        return task, not task.state.terminal

    async def until_ended(self, slot: Slot, *, timeout_s: float) -> Task | None:
        """The ended task that `slot` watches, None when it has not ended after `timeout_s`.

        Raises:
            RequestError: the task was deleted, or this server goes away.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        while (left := until - loop.time()) > 0:
            found = await slot.take(left)
            if isinstance(found, Task):
                return found
            if isinstance(found, End):
                raise _cut(found)
        return None

    async def _follow(self, slot: Slot, send: Send, *, view: View, silence_s: float) -> None:
        loop = asyncio.get_running_loop()
        # Watchers that came together do not come back together.
        too_old = loop.time() + self._max_age_s * random.uniform(0.9, 1.0)  # noqa: S311
        while True:
            found = await slot.take(min(silence_s, max(0.0, too_old - loop.time())))
            if found is None and loop.time() >= too_old:
                found = End.MAX_AGE
            if isinstance(found, Task):
                shown = await self._in_view(found, view)
                slot.start_after(shown.version)
                await send(shown)
                if shown.state.terminal:
                    if ARMED:
                        hit("watch.ending")
                    await send(End.TERMINAL)
                    return
            elif isinstance(found, End):
                await send(found)
                if found is End.DELETED:
                    return
                raise _cut(found)
            else:
                await send(found or await self._heartbeat(slot.task_id))

    async def _in_view(self, task: Task, view: View) -> Task:
        if view != View.FULL:
            return task
        return await self._tasks.find(task.id, View.FULL) or task

    async def _heartbeat(self, task_id: bytes) -> Heartbeat:
        return _sign_of_life(await self._tasks.find(task_id, View.BASIC))


def _sign_of_life(task: Task | None) -> Heartbeat:
    """A task that has not started says what it waits for."""
    return Heartbeat(task if task is not None and task.state in WAITING else None)


def _cut(end: End) -> RequestError:
    if end is End.MAX_AGE:
        return Unavailable(
            "SERVER_DRAINING",
            "This watch has become too old; call again with after_version.",
            retry_after=timedelta(milliseconds=100),
        )
    if end is End.DELETED:
        return RequestError(
            "TASK_NOT_FOUND", "The task was deleted while you waited.", code=Code.NOT_FOUND
        )
    return draining()


def _version_ahead(task: Task, after_version: int) -> RequestError:
    return InvalidRequest(
        "VERSION_AHEAD",
        f"The task has version {task.version}, which is before {after_version};"
        " watch it again with after_version 0.",
        metadata={"version": str(task.version), "afterVersion": str(after_version)},
        code=Code.OUT_OF_RANGE,
    )
