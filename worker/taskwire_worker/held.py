"""The tasks that this process holds: claimed and waiting for a thread, or running.

Those that run on the event loop are counted apart, since they take no thread. One lock guards
the table and its counts; everything under it takes microseconds.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable

from taskwire.context import StopSignal
from taskwire_core.task import Dispatch, Task
from taskwire_worker.outcome import Stop

_US = 1_000_000
_EARLY_CANCELS_KEPT = 1024


class HeldTask:
    """One claimed attempt, with the database's clock carried on by this host's monotonic one.

    `on_loop` says that it takes a place on the event loop instead of a thread, and `over` that
    it has ended.
    """

    __slots__ = ("begun_at", "claimed_at", "dispatch", "ends_at", "on_loop", "over", "stop", "task")

    def __init__(
        self, task: Task, dispatch: Dispatch, claimed_at: float, *, on_loop: bool = False
    ) -> None:
        self.task = task
        self.dispatch = dispatch
        self.claimed_at = self.begun_at = claimed_at
        self.on_loop = on_loop
        self.over = False
        self.stop = StopSignal()
        deadline = task.run_deadline_us
        # The claim set update_time: the difference does not depend on this host's wall clock.
        self.ends_at = (
            None if deadline is None else claimed_at + (deadline - task.update_time_us) / _US
        )

    def now_us(self) -> int:
        """The database's wall time, as far as it can be told from here."""
        return self.task.update_time_us + round((time.monotonic() - self.claimed_at) * _US)

    @property
    def stopped(self) -> Stop | None:
        """Why the attempt was told to stop; None when it was not."""
        return Stop(self.stop.reason) if self.stop.is_set() else None

    def tell_to_stop(self, why: Stop) -> None:
        """Asks the handler to stop, in whatever thread or process it runs."""
        self.stop.set(why)


class HeldTasks:
    """The table; `changed` is notified when tasks ended and somebody waits for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_id: dict[bytes, HeldTask] = {}
        # Waiting tasks in the order of their claim: the first is always the oldest.
        self._waiting: dict[bytes, HeldTask] = {}
        # By object, not by id: a thread may be stuck in an old attempt of a task that is
        # claimed here again.
        self._running: set[HeldTask] = set()
        self._count = 0
        self._on_loop = 0
        self._waiting_by_queue: Counter[str] = Counter()
        self._by_queue: Counter[str] = Counter()
        self._reserved = 0
        self._reserved_on_loop = 0
        # Cancels of attempts that are not here (yet): oldest first, a bounded number.
        self._cancelled_early: dict[tuple[bytes, int], None] = {}
        self._idle = threading.Condition(self._lock)

    def reserve(self, count: int, *, on_loop: int = 0) -> None:
        """Counts tasks whose claim is under way: `count` for threads, and those on the loop."""
        with self._lock:
            self._reserved += count
            self._reserved_on_loop += on_loop

    def add(self, held: Iterable[HeldTask], *, reserved: int, on_loop: int = 0) -> None:
        """Takes up claimed tasks, and gives back the reservation of their claim."""
        with self._lock:
            self._reserved -= reserved
            self._reserved_on_loop -= on_loop
            for one in held:
                self._count += 1
                self._by_id[one.task.id] = one
                self._waiting[one.task.id] = one
                if one.on_loop:
                    self._on_loop += 1
                else:
                    self._waiting_by_queue[one.dispatch.queue] += 1
                    self._by_queue[one.dispatch.queue] += 1
                if (one.task.id, one.task.attempt) in self._cancelled_early:
                    one.tell_to_stop(Stop.CANCEL)

    def cancel(self, task_id: bytes, attempt: int) -> None:
        """Tells that attempt to stop, also when the news of its claim is still on its way."""
        with self._lock:
            held = self._by_id.get(task_id)
            if held is None or held.task.attempt < attempt:
                self._cancelled_early[task_id, attempt] = None
                if len(self._cancelled_early) > _EARLY_CANCELS_KEPT:
                    del self._cancelled_early[next(iter(self._cancelled_early))]
                return
        if held.task.attempt == attempt:
            held.tell_to_stop(Stop.CANCEL)

    def begin(self, task_id: bytes, dispatch: int) -> HeldTask | None:
        """The waiting task that this message was claimed for, which runs from now on.

        None when the message is stale: its task was handed back since.
        """
        with self._lock:
            held = self._waiting.get(task_id)
            if held is None or held.dispatch.number != dispatch:
                return None
            self._no_longer_waits(held)
            self._running.add(held)
            return held

    def end(self, held: HeldTask) -> None:
        """Forgets a task that ran."""
        with self._lock:
            self._running.discard(held)
            self._forget(held)
            if not self._count:
                self._idle.notify_all()

    def take_waiting(self, *, claimed_before: float | None = None) -> list[HeldTask]:
        """Forgets waiting tasks and answers with them: all, or those claimed before a
        monotonic time."""
        with self._lock:
            taken = []
            for held in list(self._waiting.values()):
                if claimed_before is not None and held.claimed_at >= claimed_before:
                    break
                self._no_longer_waits(held)
                self._forget(held)
                taken.append(held)
            if taken and not self._count:
                self._idle.notify_all()
            return taken

    def running(self) -> list[HeldTask]:
        """The tasks that have begun."""
        with self._lock:
            return list(self._running)

    def wait_until_idle(self, timeout: float) -> bool:
        """Waits until nothing is held, `timeout` seconds at most; whether nothing is."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._count, timeout)

    @property
    def total(self) -> int:
        """How many tasks are held for threads, those whose claim is under way included."""
        return self._count - self._on_loop + self._reserved

    @property
    def on_loop(self) -> int:
        """How many tasks are held for the event loop, those to be claimed included."""
        return self._on_loop + self._reserved_on_loop

    @property
    def waiting(self) -> int:
        """How many tasks wait for a thread."""
        return len(self._waiting)

    def on_queue(self, queue: str) -> int:
        """How many tasks of `queue` are held for threads."""
        return self._by_queue[queue]

    def waiting_on_queue(self, queue: str) -> int:
        """How many tasks of `queue` wait for a thread."""
        return self._waiting_by_queue[queue]

    def _no_longer_waits(self, held: HeldTask) -> None:
        del self._waiting[held.task.id]
        if not held.on_loop:
            self._waiting_by_queue[held.dispatch.queue] -= 1

    def _forget(self, held: HeldTask) -> None:
        # A handed-back task may have been claimed again since: only this very claim goes.
        if self._by_id.get(held.task.id) is held:
            del self._by_id[held.task.id]
        self._count -= 1
        if held.on_loop:
            self._on_loop -= 1
        else:
            self._by_queue[held.dispatch.queue] -= 1
