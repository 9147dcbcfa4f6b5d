"""The supervisor's thread that talks to the store: heartbeats, and what becomes of its workers.

Everything that may block is here, so that the supervisor always hears signals and dead
children. What the store does not take is tried again until it does.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from taskwire_core.errors import StoreUnavailable
from taskwire_core.failpoints import ARMED, hit
from taskwire_worker.ports import Renewal, Report, WorkerBook, WorkerRow

_LOG = logging.getLogger(__name__)
_RETRY_S = 0.5


@dataclass(frozen=True, slots=True)
class Registered:
    """The worker is in the store, by a request sent at monotonic time `at`."""

    worker_id: bytes
    at: float


@dataclass(frozen=True, slots=True)
class Beat:
    """A heartbeat for `asked` that was sent at monotonic time `at` was answered."""

    at: float
    asked: frozenset[bytes]
    renewal: Renewal


@dataclass(frozen=True, slots=True)
class NotRegistered:
    """The worker cannot be put into the store, and may not work."""

    worker_id: bytes


News = Registered | NotRegistered | Beat


class Heart:
    """`tell` is called with news, on this thread; it must not block."""

    def __init__(
        self, book: WorkerBook, *, interval_s: float, tell: Callable[[News], None]
    ) -> None:
        self._book = book
        self._interval_s = interval_s
        self._tell = tell
        self._wishes: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._reports: dict[bytes, Report] = {}
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)

    def start(self) -> None:
        """Begins to beat."""
        self._thread.start()

    def register(self, worker: WorkerRow) -> None:
        """Adds a worker to the store, tells `Registered`, and renews it from then on."""

        def registered() -> None:
            try:
                self._register(worker)
            except StoreUnavailable:
                raise
            except Exception:  # a defect: its process must not wait for ever to be let in
                _LOG.exception("worker could not be registered")
                self._tell(NotRegistered(worker.id))

        self._wishes.put(registered)

    def unclaimed(self, worker_id: bytes, count: int) -> None:
        """Notes how many deliveries a worker holds unclaimed, for the next heartbeat."""
        with self._lock:
            if (report := self._reports.get(worker_id)) is not None:
                self._reports[worker_id] = replace(report, unclaimed=count)

    def draining(self, worker_id: bytes) -> None:
        """The worker takes no more tasks; the store is told at once."""
        with self._lock:
            if (report := self._reports.get(worker_id)) is not None:
                self._reports[worker_id] = replace(report, draining=True)
        self._wishes.put(self._beat)

    def lost(self, worker_id: bytes) -> None:
        """The worker's process has died: its tasks are recovered at once."""
        self._end(worker_id, self._book.lost)

    def retired(self, worker_id: bytes) -> None:
        """The worker's process has ended in order: what it still holds is handed back."""
        self._end(worker_id, self._book.retired)

    def stop(self, timeout_s: float) -> bool:
        """Does what is still to be done, `timeout_s` seconds at most; whether all is done."""
        self._wishes.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _register(self, worker: WorkerRow) -> None:
        at = time.monotonic()
        self._book.register(worker)
        with self._lock:
            self._reports[worker.id] = Report()
        if ARMED:
            hit("lease.registered")
        self._tell(Registered(worker.id, at))

    def _end(self, worker_id: bytes, write: Callable[[bytes], None]) -> None:
        def ended() -> None:
            write(worker_id)
            # It may have been registered after its process had died.
            self._forget(worker_id)

        self._forget(worker_id)
        self._wishes.put(ended)

    def _forget(self, worker_id: bytes) -> None:
        with self._lock:
            self._reports.pop(worker_id, None)

    def _run(self) -> None:
        next_beat = time.monotonic() + self._interval_s
        while True:
            try:
                wish = self._wishes.get(timeout=max(0.0, next_beat - time.monotonic()))
            except queue.Empty:
                self._beat()
                next_beat = time.monotonic() + self._interval_s
                continue
            if wish is None:
                return
            while not self._fulfilled(wish):
                # Leases go on while a wish waits for the store to come back.
                time.sleep(_RETRY_S)
                self._beat()

    def _fulfilled(self, wish: Callable[[], None]) -> bool:
        try:
            wish()
        except StoreUnavailable as error:
            _LOG.warning("store away", extra={"problem": str(error)})
            return False
        except Exception:  # a defect: the lease ends by itself, and the keeper does the rest
            _LOG.exception("worker row could not be changed")
        return True

    def _beat(self) -> None:
        with self._lock:
            reports = dict(self._reports)
        if not reports:
            return
        at = time.monotonic()
        try:
            if ARMED:
                hit("lease.renewing")
            renewal = self._book.renew(reports)
            if ARMED:
                hit("lease.renewed")
        except StoreUnavailable as error:
            _LOG.warning("lease not renewed", extra={"problem": str(error)})
        except Exception:  # as above; the next beat comes all the same
            _LOG.exception("lease not renewed")
        else:
            self._tell(Beat(at, frozenset(reports), renewal))
