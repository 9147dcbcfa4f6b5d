"""The dispatcher: hands this gateway's queued tasks to the broker once they are committed.

A dispatch goes outbox → unconfirmed → confirmed → marked in SQL, unless its task is heard to be
claimed by then (`unmarked.py`). A refused one waits and is published again; nothing is published
twice while its confirm is outstanding. Rows that this gateway does not take (no window, no
broker, no worker, a pause) stay in SQL for the leader's backlog.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from taskwire_core.errors import StoreUnavailable
from taskwire_core.failpoints import ARMED, hit
from taskwire_core.task import Dispatch, Task
from taskwire_gateway.dispatch.unmarked import Key, Unmarked, key_of
from taskwire_gateway.dispatch.window import Windows
from taskwire_gateway.ports import Broker, DispatchMarks
from taskwire_gateway.queue_ports import PausedQueues
from taskwire_gateway.workers_alive import LiveWorkers

log = logging.getLogger(__name__)

MARK_PAUSE_S = 0.25
RETRY_PAUSE_S = 1.0
UNSURE_S = 1.0
UNSURE_BUSY_S = 5.0


class Dispatcher:
    """Belongs to one event loop. `confirmed`, `refused` and `connected` are the broker's
    callbacks; `spilled` is set when a task was left to the leader's backlog."""

    def __init__(
        self,
        marks: DispatchMarks,
        workers: LiveWorkers,
        paused: PausedQueues,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._marks = marks
        self._workers = workers
        self._paused = paused
        self._monotonic = monotonic
        self._broker: Broker | None = None
        self._windows = Windows()
        self._outbox: list[Dispatch] = []
        # A task that ran and came back may be dispatched anew while its last confirm is open.
        self._unconfirmed: dict[Key, Dispatch] = {}
        self._refused: dict[Key, Dispatch] = {}
        self.unmarked = Unmarked()
        """What the feed may tell of tasks that are to be marked."""
        self._active = asyncio.Event()
        self._retry: asyncio.TimerHandle | None = None
        self._loop_task: asyncio.Task[None] | None = None
        self._measured_at = monotonic()
        self._unsure_since: float | None = None
        self.spilled = asyncio.Event()

    def start(self, broker: Broker) -> None:
        """Begin to mark and to measure."""
        self._broker = broker
        self._loop_task = asyncio.create_task(self._mark_forever(), name="dispatch-marks")

    async def close(self) -> None:
        """Mark what was confirmed; call it after the broker's publisher has closed."""
        if self._loop_task is not None:
            self._loop_task.cancel()
            with suppress(asyncio.CancelledError):
                await self._loop_task
        if self._retry is not None:
            self._retry.cancel()
        with suppress(StoreUnavailable):
            await self._mark()

    @property
    def ready(self) -> bool:
        """Whether the broker takes messages now."""
        return self._broker is not None and self._broker.connected

    @property
    def unconfirmed(self) -> int:
        """How many messages the broker has not answered."""
        return len(self._unconfirmed)

    def windows(self) -> Mapping[str, tuple[int, int]]:
        """By queue: how many tasks may be with the broker, and how many were when last counted."""
        return self._windows.sizes()

    def takes(self, task_type: str, queue: str) -> bool:
        """Whether this gateway will publish one more task of that queue itself."""
        served = self._workers.known().get((queue, task_type))
        if self.ready and served and queue not in self._paused.known():
            # Not before: callers name queues as they like, and each would have a window.
            window = self._windows.of(queue)
            if window.room:
                window.sent()
                self._active.set()
                return True
        self.spilled.set()
        return False

    def unsure(self) -> None:
        """A submission may have been recorded for us to publish, and nobody knows: its caller
        went away, or the store did, in the middle of the commit."""
        if self._unsure_since is None:
            self._unsure_since = self._monotonic()
            self._active.set()

    def room(self, queue: str) -> int:
        """How many more of the queue's backlog may be dispatched now."""
        return self._windows.of(queue).room if self.ready else 0

    def dispatch(self, tasks: Sequence[Task]) -> None:
        """Publish these: at once while nothing else is on its way, and otherwise once the present
        callbacks have ended, so that one write to the broker is for all of them."""
        self._enqueue([dispatch_of(task) for task in tasks])

    def dispatch_backlog(self, dispatches: Sequence[Dispatch]) -> None:
        """Publish rows that the leader has taken over; they count for the windows."""
        for queue, count in Counter(found.queue for found in dispatches).items():
            self._windows.of(queue).sent(count)
        self._enqueue(dispatches)

    def confirmed(self, dispatches: Sequence[Dispatch]) -> None:
        """The broker has these."""
        for found in dispatches:
            self._unconfirmed.pop(key_of(found), None)
        self.unmarked.confirm(dispatches)
        self._active.set()
        if ARMED:
            hit("publish.confirmed")

    def refused(self, dispatches: Sequence[Dispatch]) -> None:
        """The broker does not have these, or nobody knows."""
        for found in dispatches:
            self._unconfirmed.pop(key_of(found), None)
            self._refused[key_of(found)] = found
        self._retry_later()

    def connected(self) -> None:
        """The broker takes messages again."""
        self._publish_refused()
        self.spilled.set()

    def _enqueue(self, dispatches: Sequence[Dispatch]) -> None:
        if not dispatches:
            return
        scheduled, busy = bool(self._outbox), bool(self._unconfirmed)
        self.unmarked.send(dispatches)
        self._outbox.extend(dispatches)
        if not busy:
            self._flush()
        elif not scheduled:
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        outbox, self._outbox = self._outbox, []
        if not outbox:
            return
        assert self._broker is not None, "the dispatcher was not started"
        new = [found for found in outbox if key_of(found) not in self._unconfirmed]
        self._unconfirmed.update((key_of(found), found) for found in new)
        try:
            if ARMED:
                hit("publish.begun")
            self._broker.publish(new)
        except Exception:
            # A defect: what nobody remembers would wait for ever, so these are tried again.
            log.exception("publishing failed and is tried again")
            self.refused(new)

    def _retry_later(self) -> None:
        if self._retry is None:
            loop = asyncio.get_running_loop()
            self._retry = loop.call_later(RETRY_PAUSE_S, self._publish_refused)

    def _publish_refused(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if not self._refused:
            return
        if not self.ready:
            return  # `connected` comes back to them.
        refused, self._refused = self._refused, {}
        self._enqueue(list(refused.values()))

    async def _mark_forever(self) -> None:
        while True:
            if not self._busy():
                self._active.clear()
            await self._active.wait()
            await asyncio.sleep(MARK_PAUSE_S)
            try:
                await self._mark()
                await self._measure()
                await self._make_sure()
            except StoreUnavailable:
                await asyncio.sleep(RETRY_PAUSE_S)
            except Exception:
                log.exception("marking dispatches failed")
                await asyncio.sleep(RETRY_PAUSE_S)

    def _busy(self) -> bool:
        unsure = self._unsure_since is not None
        return unsure or self._publishing() or self._windows.any()

    def _publishing(self) -> bool:
        return bool(self._outbox or self._unconfirmed or self._refused or self.unmarked.confirmed)

    async def _mark(self) -> None:
        marking = self.unmarked.take()
        if not marking:
            return
        try:
            await self._marks.mark_dispatched(marking)
            if ARMED:
                hit("publish.marked")
        except BaseException:
            self.unmarked.put_back(marking)
            raise

    async def _make_sure(self) -> None:
        """Leave rows that nobody here remembers to the backlog, the others once too often.

        A second message for a task is harmless, since a claim is won once; a row that this
        gateway owns and has forgotten would wait for ever.
        """
        if self._unsure_since is None:
            return
        waited_s = self._monotonic() - self._unsure_since
        if waited_s < (UNSURE_BUSY_S if self._publishing() else UNSURE_S):
            return
        since, self._unsure_since = self._unsure_since, None
        try:
            released = await self._marks.release_unpublished()
        except BaseException:
            # Whoever made us unsure is often why this fails as well.
            self._unsure_since = since
            raise
        if released:
            self.spilled.set()

    async def _measure(self) -> None:
        outstanding = Counter(await self._marks.dispatched())
        unmarked = self.unmarked.confirmed
        for found in (*self._unconfirmed.values(), *self._refused.values(), *unmarked):
            outstanding[found.queue] += 1
        now = self._monotonic()
        self._windows.measured(outstanding, elapsed_s=now - self._measured_at)
        self._measured_at = now


def dispatch_of(task: Task) -> Dispatch:
    """The message that `task` is published with."""
    return Dispatch(task.id, task.type, task.options.queue, task.dispatch, task.version)
