"""What a worker process tells its supervisor to show: the supervisor has the admin port.

Exceptions go little by little: a burst of them must not hold up what else the two say to each
other. Of the metrics all goes each time, so that nothing is lost with a process but what it
counted in its last second.
"""

from __future__ import annotations

import logging
import time

from taskwire_admin.exception_log import ExceptionLog
from taskwire_admin.exposition import families
from taskwire_admin.instruments import Instruments
from taskwire_admin.relay import Relay
from taskwire_worker.control import Observed

_KEYS_PER_MESSAGE = 10
_EVERY_S = 1.0


class Observation:
    """Of one worker process; its parts fill `instruments`, and so do the errors that it logs."""

    def __init__(self) -> None:
        self.instruments = Instruments()
        self._due = 0.0

    def listen(self) -> None:
        """Collects what is logged as an error with an exception, from now on."""
        logging.getLogger().addHandler(ExceptionLog(self.instruments.exceptions))

    def news(self) -> Observed | None:
        """What is new, once a second; None when nothing is to be told yet."""
        if (now := time.monotonic()) < self._due:
            return None
        self._due = now + _EVERY_S
        return self.everything()

    def everything(self) -> Observed:
        """What is new now; a last word."""
        return Observed(
            self.instruments.exceptions.take(_KEYS_PER_MESSAGE),
            tuple(families(self.instruments.registry)),
        )


class Observations:
    """Those of all worker processes, put together for the supervisor's admin port."""

    def __init__(self, instruments: Instruments) -> None:
        self._exceptions = instruments.exceptions
        self._relay = Relay()
        instruments.registry.register(self._relay)

    def heard(self, worker_id: bytes, observed: Observed) -> None:
        """A process has told what it saw."""
        self._exceptions.add(observed.exceptions)
        self._relay.heard(worker_id, observed.metrics)

    def ended(self, worker_id: bytes) -> None:
        """A process is gone; what it counted stays."""
        self._relay.gone(worker_id)
