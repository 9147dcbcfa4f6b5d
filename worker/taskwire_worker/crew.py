"""Everything that one worker process needs to run tasks, put together, started and drained.

The same crew works in a worker process and inside the gateway of the embedded mode.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from taskwire import Isolation
from taskwire_admin.instruments import Instruments
from taskwire_contracts.preparation import Preparation
from taskwire_core import recovery
from taskwire_core.failpoints import ARMED, hit
from taskwire_core.ids import to_text
from taskwire_worker.attempt_log import AttemptLog
from taskwire_worker.event_loop import EventLoop
from taskwire_worker.handlers import Handler
from taskwire_worker.held import HeldTask, HeldTasks
from taskwire_worker.intake import Intake
from taskwire_worker.isolation import ChildSetup, IsolationPool
from taskwire_worker.lease import Lease
from taskwire_worker.loop_slots import LoopSlots
from taskwire_worker.outcome import Stop
from taskwire_worker.ports import Doorbell, Ledger
from taskwire_worker.progress import ProgressBoard
from taskwire_worker.runner import Runner
from taskwire_worker.settler import Settler
from taskwire_worker.spool import Spool
from taskwire_worker.submissions import Submissions
from taskwire_worker.ticker import Ticker
from taskwire_worker.work_loop import Consumer, WorkLoop

_LOG = logging.getLogger(__name__)

WAIT_LIMIT_S = 1.0
"""A claimed task that has found no thread for this long is handed back."""

_STOP_GRACE_S = 2.0
_LOOP_TIMEOUT_S = 1.0
_THREADS_TIMEOUT_S = 0.5


class Deliveries(Protocol):
    """The broker, as far as the crew steers it."""

    queues: Collection[str]
    """Those that are consumed."""

    def consumers(self, intake: Intake) -> Sequence[Consumer]:
        """A consumer for each queue, which asks `intake`; called once."""

    def drain(self) -> None:
        """Stops consuming and gives back what is unclaimed."""

    def held(self) -> int:
        """How many deliveries wait here unclaimed."""


@dataclass(frozen=True, slots=True)
class CrewOptions:
    """What a crew is told; times in seconds."""

    worker_id: bytes
    threads: int
    async_slots: int
    data_dir: Path
    cancel_grace_s: float
    max_result_bytes: int
    isolation: ChildSetup


class Crew:
    """One process's threads and children; `start`, then `drain` once."""

    def __init__(
        self,
        options: CrewOptions,
        handlers: Mapping[str, Handler],
        *,
        ledger: Ledger,
        doorbell: Doorbell,
        lease: Lease,
        deliveries: Deliveries,
        preparation: Preparation,
        instruments: Instruments,
    ) -> None:
        """`instruments` count attempts, and take the exceptions that handlers did not foresee."""
        self.threads = options.threads
        self._lease = lease
        self._deliveries = deliveries
        self.held = HeldTasks()
        self.settler = Settler(
            ledger, Spool(options.data_dir / "spool"), name=to_text(options.worker_id)
        )
        self.intake = Intake(
            ledger,
            self.held,
            slots=options.threads,
            queues=deliveries.queues,
            types=handlers,
            loop=LoopSlots(
                handlers,
                slots=options.async_slots,
                start=lambda task_id, dispatch: self._runner.start(task_id, dispatch),
            ),
            never_ahead={
                name: handler.task_type.options.queue
                for name, handler in handlers.items()
                if handler.task_type.options.at_most_once
            },
        )
        self._pool = IsolationPool(
            options.isolation,
            warm=int(any(h.isolation is Isolation.PROCESS for h in handlers.values())),
            cancel_grace_s=options.cancel_grace_s,
            max_result_bytes=options.max_result_bytes,
        )
        self._progress = ProgressBoard(doorbell, ledger)
        self._loop = EventLoop(grace_s=options.cancel_grace_s)
        self._runner = Runner(
            handlers,
            self.held,
            isolated=self._pool,
            loop=self._loop,
            progress=self._progress,
            submitter=Submissions(preparation, ledger).submitter,
            settle=self.settler.settle,
            done=self.intake.done,
            log=AttemptLog(instruments),
            max_result_bytes=options.max_result_bytes,
        )
        self._work = WorkLoop(
            deliveries.consumers(self.intake), self._runner.run, threads=options.threads
        )
        self._ticker = Ticker(
            [self._watch_lease, self._hand_back_late, self._progress.tick, self._pool.tick]
        )
        self._draining = False
        self._hurry = threading.Event()

    def start(self) -> None:
        """Begins to take on work; returns at once."""
        self._loop.start()
        self.intake.open()
        self._work.start()
        self._ticker.start()

    def cancel(self, task_id: bytes, attempt: int) -> None:
        """Tells the handler of that attempt to stop, if it is held here."""
        if ARMED:
            hit("cancel.heard")
        self.held.cancel(task_id, attempt)

    @property
    def unclaimed(self) -> int:
        """How many deliveries wait here unclaimed."""
        return self._deliveries.held()

    @property
    def isolated_children(self) -> int:
        """How many processes of single handlers there are."""
        return self._pool.children

    def hurry(self) -> None:
        """Ends the grace of a drain now."""
        self._hurry.set()

    def drain(self, grace_s: float) -> bool:
        """Ends the work in order, whatever it takes at most `grace_s` and some seconds.

        Handlers may finish within the grace, then they are told to stop. Whether nothing
        runs any more: what still does is the supervisor's to hand back, once this process
        is gone.
        """
        if self._draining:
            return self.held.wait_until_idle(0)
        self._draining = True
        self.intake.close()
        self._deliveries.drain()
        if ARMED:
            hit("drain.begun")
        self._hand_back(self.held.take_waiting(), "the worker is draining")
        if ARMED:
            hit("drain.handed_back")
        idle = self._wait_until_idle(grace_s)
        if not idle:
            for held in self.held.running():
                held.tell_to_stop(Stop.DRAIN)
            idle = self.held.wait_until_idle(_STOP_GRACE_S)
        self._ticker.stop()
        self._loop.stop(_LOOP_TIMEOUT_S)
        self._pool.close()
        self._work.stop(_THREADS_TIMEOUT_S)
        return idle

    def finish(self, timeout_s: float) -> None:
        """After the drain: writes or spools the last settlements."""
        self.settler.close(timeout_s)

    def _wait_until_idle(self, grace_s: float) -> bool:
        until = time.monotonic() + grace_s
        while not self._hurry.is_set():
            left = until - time.monotonic()
            # Short waits: a second signal must end the grace at once.
            if self.held.wait_until_idle(max(0.0, min(0.2, left))):
                return True
            if left <= 0:
                break
        return False

    def _watch_lease(self) -> None:
        if not self._lease.alive():
            if self.intake.is_open:
                _LOG.error("lease not renewed, stopping all work")
                self.intake.close()
            self._give_up_all()
        elif not self.intake.is_open and not self._draining:
            _LOG.warning("lease renewed, taking work again")
            self.intake.open()

    def _give_up_all(self) -> None:
        # At every tick: a claim that was under way may still come in. The lease may be renewed
        # yet: what is dropped in silence would stay RUNNING then.
        self._hand_back(self.held.take_waiting(), "the worker's lease was not renewed")
        for held in self.held.running():
            if held.stopped is None:
                held.tell_to_stop(Stop.LEASE)

    def _hand_back_late(self) -> None:
        late = self.held.take_waiting(claimed_before=time.monotonic() - WAIT_LIMIT_S)
        self._hand_back(late, "no thread became free")

    def _hand_back(self, tasks: Sequence[HeldTask], why: str) -> None:
        for held in tasks:
            self.settler.settle(recovery.handed_back(held.task, why, began=False))
