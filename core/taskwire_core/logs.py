"""How every process of taskwire logs: one line per fact on stderr, its data as key=value.

    2026-11-22T18:41:07.123Z INFO    taskwire_worker.supervisor  worker process died pid=4711

A call such as `log.warning("worker process died", extra={"pid": 4711})` writes that line: the
message is fixed, so that it can be searched for, and whatever varies is in `extra`.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

# These tell at INFO what every connection does, which is ours to tell.
_TALKATIVE = ("alembic", "dramatiq", "pika", "asyncio", "PIL")
# A failed connection is one line of ours; it is eight errors and a traceback of pika's.
_SILENT = ("pika.adapters",)


class LineFormatter(logging.Formatter):
    """One line per record; the traceback of an exception follows it."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        """Time in UTC, level, logger, message, and the fields of `extra`."""
        at = datetime.fromtimestamp(record.created, UTC)
        time = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        fields = "".join(
            f" {key}={_value(value)}"
            for key, value in vars(record).items()
            if key not in _STANDARD and not key.startswith("_")
        )
        # A line break in a value must not look like another line of the log.
        message = record.message.replace("\n", "\\n")
        return f"{time} {record.levelname:<7} {record.name}  {message}{fields}"


def log_to_stderr(level: str) -> None:
    """Log everything from `level` ("INFO") on to stderr; call it once, in a process's main."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    if level != "DEBUG":
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.WARNING)
        for name in _SILENT:
            logging.getLogger(name).setLevel(logging.CRITICAL)


def _value(value: object) -> str:
    text = value.hex() if isinstance(value, bytes) else str(value)
    return text if text.isprintable() and " " not in text and text else json.dumps(text)
