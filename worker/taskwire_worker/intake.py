"""How much work this process takes on, and the claim that makes it its own.

The broker room's consumers call it, one thread per queue.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from taskwire_core.failpoints import ARMED, hit
from taskwire_core.task import Dispatch, Task
from taskwire_worker.held import HeldTask, HeldTasks
from taskwire_worker.lookahead import CompletionRate, look_ahead, may_claim
from taskwire_worker.loop_slots import LoopSlots
from taskwire_worker.ports import Ledger

_LOG = logging.getLogger(__name__)


class Intake:
    """Counts slots over all queues of the process, and claims for those that are free.

    Where threads and coroutines share a queue there must be room for either: the next delivery
    may be one or the other.
    """

    def __init__(
        self,
        ledger: Ledger,
        held: HeldTasks,
        *,
        slots: int,
        queues: Collection[str],
        types: Collection[str],
        loop: LoopSlots,
        never_ahead: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`never_ahead` are types that are claimed for free slots only, and their own queues;
        where else they are put is known once one of them is seen there.

        What must begin at most once is lost with a worker that has claimed it, begun or not.
        """
        self._ledger = ledger
        self._held = held
        self._slots = slots
        self._loop = loop
        self._types = frozenset(types)
        self._types_never_ahead = frozenset(never_ahead)
        self._never_ahead = set(never_ahead.values())
        self._rates = {queue: CompletionRate() for queue in queues}
        self._total_rate = CompletionRate()
        self._open = False
        self._slot_free = threading.Condition()
        self._waiters = 0

    def open(self) -> None:
        """Lets work in."""
        self._open = True
        self._wake()

    def close(self) -> None:
        """Lets no more work in; what is held stays."""
        self._open = False

    @property
    def is_open(self) -> bool:
        """Whether work is let in."""
        return self._open

    def free(self, queue: str) -> int:
        """How many more deliveries of `queue` may be claimed now, 0 or more."""
        if not self._open:
            return 0
        loop = self._loop
        if not loop.on(queue):
            return self._free_threads(queue)
        places = loop.free(self._held.on_loop)
        return places if loop.only_on(queue) else min(places, self._free_threads(queue))

    def _free_threads(self, queue: str) -> int:
        now = time.monotonic()
        held = self._held
        return may_claim(
            slots=self._slots,
            held=held.total,
            waiting=held.waiting,
            queue_held=held.on_queue(queue),
            queue_waiting=held.waiting_on_queue(queue),
            queue_rate=0.0 if queue in self._never_ahead else self._rate(queue).per_second(now),
            total_rate=self._total_rate.per_second(now),
            queues=max(1, len(self._rates)),
        )

    def claim(self, dispatches: list[Dispatch]) -> list[Dispatch]:
        """Commits the claim of these deliveries, and begins those that run on the event loop;
        answers with those that are ours to run in threads now.

        Raises:
            StoreUnavailable: nothing was claimed; the deliveries are still unclaimed.
        """
        wanted = self._wanted(dispatches)
        if not wanted:
            return []
        claimed = self._claimed(wanted)
        for held in claimed:
            if held.on_loop:
                self._loop.start(held.task.id, held.dispatch.number)
        for_threads = {held.task.id for held in claimed if not held.on_loop}
        return [dispatch for task_id, dispatch in wanted.items() if task_id in for_threads]

    def _claimed(self, wanted: Mapping[bytes, Dispatch]) -> list[HeldTask]:
        on_loop = self._loop.noted(wanted.values())
        reserved = len(wanted) - on_loop
        self._held.reserve(reserved, on_loop=on_loop)
        claimed: list[HeldTask] = []
        try:
            # The clock is read before the claim: a deadline may come early, never late.
            now = time.monotonic()
            if ARMED:
                hit("claim.begun")
            tasks = self._ledger.claim(list(wanted.values()))
            claimed = [self._in_hand(task, wanted[task.id], now) for task in tasks]
        finally:
            self._held.add(claimed, reserved=reserved, on_loop=on_loop)
        return claimed

    def _in_hand(self, task: Task, dispatch: Dispatch, now: float) -> HeldTask:
        # One that must run alone has a process of its own, and a thread that waits for it.
        on_loop = self._loop.holds(task.type) and not task.solo
        return HeldTask(task, dispatch, now, on_loop=on_loop)

    def refused(self, queue: str, body: bytes, problem: str) -> None:
        """Records a delivery that is no message of ours."""
        self._ledger.refused(queue, body, problem)

    def wait_for_slot(self, timeout: float) -> bool:
        """Waits until more may be claimed, `timeout` seconds at most; whether it may be."""
        with self._slot_free:
            self._waiters += 1
            try:
                return self._slot_free.wait_for(self._worth_claiming, timeout)
            finally:
                self._waiters -= 1

    def done(self, held: HeldTask) -> None:
        """A task of ours has ended: its slot is free."""
        self._held.end(held)
        if not held.on_loop:
            self._rate(held.dispatch.queue).count()
            self._total_rate.count()
        if self._waiters and self._worth_claiming():
            self._wake()

    def _wanted(self, dispatches: Sequence[Dispatch]) -> dict[bytes, Dispatch]:
        known = [dispatch for dispatch in dispatches if dispatch.type in self._types]
        if len(known) < len(dispatches):
            strange = [d for d in dispatches if d.type not in self._types]
            _LOG.warning("no handler here", extra={"types": sorted({d.type for d in strange})})
            self._ledger.unhandled(strange)
        wanted: dict[bytes, Dispatch] = {}
        for dispatch in known:
            # A delivery may come twice in one group: the claim knows the task once.
            wanted.setdefault(dispatch.task_id, dispatch)
            if dispatch.type in self._types_never_ahead:
                self._never_ahead.add(dispatch.queue)
        return wanted

    def _worth_claiming(self) -> bool:
        # Waking a consumer for every task would make groups of one: with a look-ahead it is
        # woken when a quarter of it is used up.
        if not self._open:
            return False
        if self._held.total < self._slots or self._loop.free(self._held.on_loop):
            return True
        ahead = look_ahead(self._total_rate.per_second(time.monotonic()))
        return ahead > 0 and self._held.waiting <= ahead * 3 // 4

    def _rate(self, queue: str) -> CompletionRate:
        rate = self._rates.get(queue)
        return rate if rate is not None else self._rates.setdefault(queue, CompletionRate())

    def _wake(self) -> None:
        with self._slot_free:
            self._slot_free.notify_all()
