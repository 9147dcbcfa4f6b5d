"""What a worker process tells its supervisor to show: the supervisor has the admin port.

Little by little: a burst of exceptions must not hold up what else the two say to each other.
"""

from __future__ import annotations

import logging

from taskwire_admin.exception_book import ExceptionBook
from taskwire_admin.exception_log import ExceptionLog
from taskwire_worker.control import Observed

_KEYS_PER_MESSAGE = 10


class Observation:
    """Of one worker process; `exceptions` is filled by its parts, and by what it logs."""

    def __init__(self) -> None:
        self.exceptions = ExceptionBook()

    def listen(self) -> None:
        """Collects what is logged as an error with an exception, from now on."""
        logging.getLogger().addHandler(ExceptionLog(self.exceptions))

    def news(self) -> Observed | None:
        """What is new since the last time; None when nothing is."""
        exceptions = self.exceptions.take(_KEYS_PER_MESSAGE)
        return Observed(exceptions) if exceptions else None
