"""Hands settlements to the store and never loses one that it took.

A thread that ran a handler goes on at once: the store's writer settles in groups. While the
store is away settlements wait here; what is still unwritten at the end goes into the spool.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections import Counter
from concurrent.futures import Future

from taskwire_core.errors import StoreUnavailable
from taskwire_core.failpoints import ARMED, hit
from taskwire_core.recovery import Settlement
from taskwire_core.task import Task
from taskwire_worker.ports import Ledger
from taskwire_worker.spool import Spool

_LOG = logging.getLogger(__name__)
_FIRST_WAIT_S = 0.05
_LONGEST_WAIT_S = 5.0
# An error that is not "the store is away" is a defect: the keeper ends the attempt then.
_MAX_DEFECTS = 5

_Key = tuple[bytes, int]


class Settler:
    """`settle` from any thread; `close` once, at the end."""

    def __init__(self, ledger: Ledger, spool: Spool, *, name: str) -> None:
        self._ledger = ledger
        self._spool = spool
        self._name = name
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._unwritten: dict[_Key, Settlement] = {}
        self._again: list[Settlement] = []
        self._defects: Counter[_Key] = Counter()
        self._wait_s = _FIRST_WAIT_S
        self._closing = False
        self.fenced_out = 0
        """How many settlements came too late: the attempt was not ours any more."""
        self._thread = threading.Thread(target=self._retry, name="settler", daemon=True)
        self._thread.start()

    def settle(self, settlement: Settlement) -> None:
        """Takes over `settlement`; never waits for the store, never raises."""
        self._unwritten[settlement.task_id, settlement.attempt] = settlement
        self._write(settlement)

    @property
    def unwritten(self) -> int:
        """How many settlements are not in the store yet."""
        return len(self._unwritten)

    def wait_until_written(self, timeout: float) -> bool:
        """Waits until all is in the store, `timeout` seconds at most; whether it is."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self._unwritten, timeout)

    def close(self, timeout: float) -> None:
        """Writes what it can within `timeout` seconds and spools the rest."""
        self.wait_until_written(timeout)
        with self._lock:
            # Some of these may be on their way into the store right now; settling twice
            # changes nothing.
            rest = list(self._unwritten.values())
        if rest:
            self._keep(rest)

    def _write(self, settlement: Settlement) -> None:
        try:
            if ARMED:
                hit("settle.begun")
            future = self._ledger.settle(settlement)
        except Exception as error:
            self._failed(settlement, error)
            return
        future.add_done_callback(functools.partial(self._answered, settlement))

    def _answered(self, settlement: Settlement, future: Future[Task | None]) -> None:
        if future.cancelled():
            self._failed(settlement, StoreUnavailable("the writer was closed"))
        elif (error := future.exception()) is not None:
            self._failed(settlement, error)
        else:
            self._written(settlement, won=future.result() is not None)

    def _written(self, settlement: Settlement, *, won: bool) -> None:
        if ARMED:
            hit("settle.written")
        self._unwritten.pop((settlement.task_id, settlement.attempt), None)
        if not won:
            self.fenced_out += 1
        if self._closing or self._wait_s != _FIRST_WAIT_S:
            with self._changed:
                self._wait_s = _FIRST_WAIT_S
                self._changed.notify_all()

    def _failed(self, settlement: Settlement, error: BaseException) -> None:
        if not isinstance(error, StoreUnavailable):
            key = (settlement.task_id, settlement.attempt)
            self._defects[key] += 1
            _LOG.error("settlement failed", exc_info=error)
            if self._defects[key] > _MAX_DEFECTS:
                del self._defects[key]
                self._unwritten.pop(key, None)
                return
        with self._changed:
            self._again.append(settlement)
            self._changed.notify_all()

    def _retry(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._again))
                wait_s = self._wait_s
                self._wait_s = min(_LONGEST_WAIT_S, wait_s * 2)
            _LOG.warning("store away, settlements wait", extra={"unwritten": self.unwritten})
            time.sleep(wait_s)
            with self._lock:
                again, self._again = self._again, []
            for settlement in again:
                self._write(settlement)

    def _keep(self, rest: list[Settlement]) -> None:
        try:
            self._spool.write(self._name, rest)
            _LOG.warning("settlements spooled", extra={"count": len(rest)})
        except OSError as error:
            # Nothing is lost but the work: the keeper runs these attempts again.
            _LOG.error("settlements lost", extra={"count": len(rest), "problem": error.strerror})
