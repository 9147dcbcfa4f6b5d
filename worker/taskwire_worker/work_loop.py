"""The threads of a worker process: one for each queue that claims, and those that run handlers.

It stands where Dramatiq's Worker would, whose queue, middleware and acknowledgements cost more
per task than a small handler does, and do nothing here: what these threads take is claimed in
SQL, and nobody else's although the broker should deliver it again. Threads take tasks in the order
of their claims.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from taskwire_core.ids import to_text
from taskwire_core.task import Dispatch
from taskwire_worker.line import Line

_LOG = logging.getLogger(__name__)
_PAUSE_AFTER_DEFECT_S = 1.0


class Consumer(Protocol):
    """One queue's deliveries, claimed in groups."""

    def claimed(self) -> Sequence[Dispatch]:
        """What was claimed just now; empty when there was nothing for a while."""


class WorkLoop:
    """`start` and `stop` once each; `run` is called for each claimed task, in some thread."""

    def __init__(
        self,
        consumers: Iterable[Consumer],
        run: Callable[[bytes, int], None],
        *,
        threads: int,
    ) -> None:
        self._run = run
        self._line = Line(threads)
        self._ended = threading.Event()
        self._consuming = [
            threading.Thread(target=self._consume, args=[each], name="consumer", daemon=True)
            for each in consumers
        ]
        self._running = [
            threading.Thread(target=self._work, name="handlers", daemon=True)
            for _ in range(threads)
        ]
        self._moving = threading.Thread(target=self._line.keep_moving, name="line", daemon=True)

    def start(self) -> None:
        """Begins to claim and to run; returns at once."""
        for thread in [self._moving, *self._running, *self._consuming]:
            thread.start()

    def stop(self, timeout_s: float) -> None:
        """Claims nothing more, and waits for the handlers that run, `timeout_s` at most."""
        self._ended.set()
        self._line.end()
        until = time.monotonic() + timeout_s
        for thread in [*self._consuming, *self._running, self._moving]:
            if thread.is_alive():
                thread.join(max(0.0, until - time.monotonic()))

    def _consume(self, consumer: Consumer) -> None:
        while not self._ended.is_set():
            try:
                if claimed := consumer.claimed():
                    self._line.put(claimed)
            except Exception:  # the edge: without this thread its queue would stand still
                _LOG.exception("consuming failed")
                self._ended.wait(_PAUSE_AFTER_DEFECT_S)

    def _work(self) -> None:
        bed = threading.Lock()
        bed.acquire()
        while (dispatch := self._line.take(bed)) is not None:
            try:
                self._run(dispatch.task_id, dispatch.number)
            except Exception:  # the edge: one thread less would be missed for ever
                _LOG.exception(
                    "attempt could not be run", extra={"task_id": to_text(dispatch.task_id)}
                )
