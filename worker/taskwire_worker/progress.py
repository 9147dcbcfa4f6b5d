"""How the progress of running tasks travels: conflated, at most 4 times a second per task.

The newest report of a task waits here until it may be sent; the store gets one every 2 s.
"""

from __future__ import annotations

import threading
import time

from taskwire import ProgressReport
from taskwire_core.task import Progress, ProgressRing
from taskwire_worker.held import HeldTask
from taskwire_worker.ports import Doorbell, Ledger

RING_INTERVAL_S = 0.25
STORE_INTERVAL_S = 2.0
MAX_MESSAGE_CHARS = 512


class _Newest:
    """One task's newest report, and when it was last rung and stored (monotonic seconds)."""

    __slots__ = ("ring", "rung", "rung_at", "stored", "stored_at")

    def __init__(self, ring: ProgressRing, stored_at: float) -> None:
        self.ring = ring
        self.rung: ProgressRing | None = None
        self.rung_at = float("-inf")
        self.stored: ProgressRing | None = None
        # The first report is stored 2 s after it came: short tasks store none.
        self.stored_at = stored_at


class ProgressBoard:
    """Takes reports from any thread; `tick` sends what is due, some times a second."""

    def __init__(self, doorbell: Doorbell, ledger: Ledger) -> None:
        self._doorbell = doorbell
        self._ledger = ledger
        self._lock = threading.Lock()
        self._newest: dict[HeldTask, _Newest] = {}

    def report(self, held: HeldTask, report: ProgressReport) -> None:
        """Notes that `held` is this far, and rings at once unless it has just been rung.

        Nothing of a task that has ended: what its handler left behind may still report.
        """
        ring = _ring(held, report)
        now = time.monotonic()
        with self._lock:
            newest = self._newest.get(held)
            if newest is None:
                newest = self._newest[held] = _Newest(ring, stored_at=now)
            if held.over:  # asked after the entry was made: it may end at any moment
                del self._newest[held]
                return
            newest.ring = ring
            due = now - newest.rung_at >= RING_INTERVAL_S
            if due:
                newest.rung, newest.rung_at = ring, now
        if due:
            self._doorbell.progress([ring])

    def forget(self, held: HeldTask) -> None:
        """Drops what is not sent yet of a task that has ended, and what comes later."""
        held.over = True
        # Most tasks never report: they must not take a lock for it.
        if held in self._newest:
            with self._lock:
                self._newest.pop(held, None)

    def tick(self) -> None:
        """Rings and stores whatever is due now."""
        if not self._newest:
            return
        now = time.monotonic()
        with self._lock:
            rings = [self._rung(n, now) for n in self._newest.values() if _ring_due(n, now)]
            stores = [self._stored(n, now) for n in self._newest.values() if _store_due(n, now)]
        if rings:
            self._doorbell.progress(rings)
        if stores:
            self._ledger.progress(stores)

    def _rung(self, newest: _Newest, now: float) -> ProgressRing:
        newest.rung, newest.rung_at = newest.ring, now
        return newest.ring

    def _stored(self, newest: _Newest, now: float) -> ProgressRing:
        newest.stored, newest.stored_at = newest.ring, now
        return newest.ring


def _ring_due(newest: _Newest, now: float) -> bool:
    return newest.rung is not newest.ring and now - newest.rung_at >= RING_INTERVAL_S


def _store_due(newest: _Newest, now: float) -> bool:
    return newest.stored is not newest.ring and now - newest.stored_at >= STORE_INTERVAL_S


def _ring(held: HeldTask, report: ProgressReport) -> ProgressRing:
    return ProgressRing(
        task_id=held.task.id,
        attempt=held.task.attempt,
        progress=Progress(
            fraction=report.fraction,
            completed_units=report.completed,
            total_units=report.total,
            message=report.message[:MAX_MESSAGE_CHARS],
            update_time_us=held.now_us(),
        ),
    )
