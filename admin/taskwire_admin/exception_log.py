"""Puts every exception that is logged as an error into the book.

So nobody who logs one has to know of Periskop: a call that failed unexpectedly, a sweep, an
asyncio task that nobody awaited, a library's own thread.
"""

from __future__ import annotations

import logging

from taskwire_admin.exception_book import ExceptionBook
from taskwire_admin.occurrence import Occurrence
from taskwire_core.caught import catch
from taskwire_core.logs import fields_of


class ExceptionLog(logging.Handler):
    """A handler of the root logger; what has no exception, or is a warning, passes by."""

    def __init__(self, book: ExceptionBook) -> None:
        super().__init__(logging.ERROR)
        self._book = book

    def emit(self, record: logging.LogRecord) -> None:
        """Records the exception, with what was worked on."""
        if not record.exc_info or record.exc_info[1] is None:
            return
        try:
            fields = {key: str(value) for key, value in fields_of(record).items()}
            method = fields.pop("method", None)
            self._book.record(
                Occurrence(
                    caught=catch(record.exc_info[1]),
                    kind="log" if method is None else "grpc",
                    place=method or record.name,
                    fields={"event": record.getMessage(), **fields},
                )
            )
        except Exception:
            self.handleError(record)
