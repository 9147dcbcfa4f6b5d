"""A thread that does small things some times a second."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

_LOG = logging.getLogger(__name__)


class Ticker:
    """Calls every one of `ticks` each `interval_s` seconds until it is stopped."""

    def __init__(self, ticks: Sequence[Callable[[], None]], *, interval_s: float = 0.1) -> None:
        self._ticks = ticks
        self._interval_s = interval_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)

    def start(self) -> None:
        """Begins to tick."""
        self._thread.start()

    def stop(self) -> None:
        """Ticks no more once this has returned; it may never have begun."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._interval_s):
            for tick in self._ticks:
                try:
                    tick()
                except Exception:  # the next tick must come whatever this one met
                    _LOG.exception("tick failed")
