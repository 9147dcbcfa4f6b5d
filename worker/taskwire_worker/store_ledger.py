"""The ledger and the worker book over the db room: which group operation each wish becomes."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from itertools import islice

from taskwire_core.errors import OutcomeUnknown, StoreUnavailable
from taskwire_core.failpoints import ARMED, hit
from taskwire_core.recovery import Settlement
from taskwire_core.task import Dispatch, NewTask, ProgressRing, Task, payload_bytes
from taskwire_db import operations
from taskwire_db.database import Transaction
from taskwire_db.operations import (
    ChildSubmission,
    ClaimRequest,
    Heartbeat,
    ProgressRow,
    Submitted,
    Sweep,
)
from taskwire_db.operations.hand_back import Unheard, hand_back, hand_back_unheard
from taskwire_db.writer import Writer
from taskwire_worker.ports import AttemptOver, KeyReused, Renewal, Report, WorkerRow
from taskwire_worker.spool import Spool

_LOG = logging.getLogger(__name__)
_RETRY_S = 0.5


def claim_groups(tx: Transaction, groups: Sequence[Sequence[ClaimRequest]]) -> list[list[Task]]:
    """Claims of several consumers as one statement; for each the tasks that it won."""
    results = iter(operations.claim(tx, [request for group in groups for request in group]))
    return [[task for task in islice(results, len(group)) if task is not None] for group in groups]


class StoreLedger:
    """`Ledger` over this process's writer."""

    def __init__(self, writer: Writer, worker_id: bytes) -> None:
        self._writer = writer
        self._worker_id = worker_id
        self._claiming = threading.Lock()
        self._unheard_since_us: int | None = None
        """When a claim was sent whose answer was lost: its tasks may be ours, and run nowhere."""

    def claim(self, dispatches: Sequence[Dispatch]) -> Sequence[Task]:
        requests = [ClaimRequest(d.task_id, self._worker_id) for d in dispatches]
        with self._claiming:
            self._give_back_unheard()
            sent_us = self._writer.clock.now_us()
            try:
                return self._writer.run_here(claim_groups, requests)
            except OutcomeUnknown:
                self._unheard_since_us = sent_us
                # The next delivery may be long in coming.
                threading.Thread(target=self._make_sure, name="unheard-claims", daemon=True).start()
                raise

    def _give_back_unheard(self) -> None:
        if self._unheard_since_us is None:
            return
        unheard = Unheard(self._worker_id, self._unheard_since_us)
        given_back = self._writer.run(hand_back_unheard, unheard).result()
        self._unheard_since_us = None
        _LOG.warning("the answer to a claim was lost", extra={"count": len(given_back)})

    def _make_sure(self) -> None:
        while True:
            time.sleep(_RETRY_S)
            with self._claiming, contextlib.suppress(StoreUnavailable):
                self._give_back_unheard()
                return

    def settle(self, settlement: Settlement) -> Future[Task | None]:
        return self._writer.run(operations.settle, settlement, size=_size(settlement))

    def submit(self, child: NewTask, attempt: int) -> Future[bytes]:
        submission, size = ChildSubmission(child, attempt), payload_bytes(child)
        written = self._writer.run(operations.submit_children, submission, size=size)
        made: Future[bytes] = Future()
        written.add_done_callback(lambda done: _pass_on(done, made))
        return made

    def unhandled(self, dispatches: Sequence[Dispatch]) -> None:
        for dispatch in dispatches:
            self._writer.run(operations.undispatch, dispatch)

    def progress(self, rings: Sequence[ProgressRing]) -> None:
        for ring in rings:
            row = ProgressRow(ring.task_id, ring.attempt, ring.progress)
            self._writer.run(operations.save_progress, row)

    def refused(self, queue: str, body: bytes, problem: str) -> None:
        # The consumer has logged it, and the broker keeps the body in the dead-letter queue for
        # seven days; the store has no place for it yet.
        _LOG.debug("message refused", extra={"queue": queue, "size_bytes": len(body)})


def _size(settlement: Settlement) -> int:
    return len(settlement.result.data) if settlement.result is not None else 0


def _pass_on(written: Future[Submitted], made: Future[bytes]) -> None:
    match written.exception():
        case None:
            made.set_result(written.result().task.id)
        case operations.AttemptOver():
            made.set_exception(AttemptOver())
        case operations.KeyReused():
            made.set_exception(KeyReused())
        case error:
            made.set_exception(error)


class StoreWorkerBook:
    """`WorkerBook` over the supervisor's writer; every method waits for its commit.

    What a worker could not write before it ended is in `spool`: that is written before anybody
    else judges its attempts.
    """

    def __init__(self, writer: Writer, spool: Spool, *, ttl_us: int | None) -> None:
        self._writer = writer
        self._spool = spool
        self._ttl_us = ttl_us

    def register(self, worker: WorkerRow) -> None:
        row = operations.WorkerRow(
            id=worker.id,
            host=worker.host,
            pid=worker.pid,
            slots=worker.slots,
            types=worker.types,
            queues=worker.queues,
            ttl_us=self._ttl_us,
        )
        self._writer.run(operations.register_worker, row).result()

    def renew(self, reports: Mapping[bytes, Report]) -> Renewal:
        ttl_us = self._ttl_us
        assert ttl_us is not None, "an endless lease needs no renewal"
        beats = {
            worker_id: self._writer.run(
                operations.heartbeat,
                Heartbeat(worker_id, report.unclaimed, ttl_us, report.draining),
            )
            for worker_id, report in reports.items()
        }
        leases = {worker_id: beat.result() for worker_id, beat in beats.items()}
        return Renewal(
            alive=frozenset(worker_id for worker_id, lease in leases.items() if lease.alive),
            cancelling={worker_id: lease.cancelled for worker_id, lease in leases.items()},
        )

    def replay(self) -> int:
        """Writes what is in the spool; how many settlements there were.

        Raises:
            StoreUnavailable: Not all are written, and stay there; writing them again changes
                nothing.
        """
        return self._spool.replay(self._settle)

    def lost(self, worker_id: bytes) -> None:
        self._replay_if_possible()
        self._writer.run(operations.expire_worker, worker_id).result()
        if ARMED:
            hit("lease.expired")
        # The keeper would find these within a sweep; whoever saw the process die is faster.
        while self._writer.run(operations.sweep_lost, Sweep(worker_id=worker_id)).result():
            pass

    def retired(self, worker_id: bytes) -> None:
        self._replay_if_possible()
        self._writer.run(hand_back, worker_id).result()
        if ARMED:
            hit("drain.retiring")
        self._writer.run(operations.delete_worker, worker_id).result()

    def _replay_if_possible(self) -> None:
        try:
            self.replay()
        except StoreUnavailable:
            raise
        except Exception:  # One file that nobody can write must not keep all workers unjudged.
            _LOG.exception("the spool could not be replayed")

    def _settle(self, settlements: Sequence[Settlement]) -> None:
        written = [
            self._writer.run(operations.settle, each, size=_size(each)) for each in settlements
        ]
        for done in written:
            done.result()
