"""How every process of taskwire logs: one line per fact on stderr, its data as fields.

    2026-11-22T18:41:07.123Z INFO    taskwire_worker.supervisor  worker process died pid=4711

A call such as `log.warning("worker process died", extra={"pid": 4711})` writes that line, or
with TASKWIRE_LOG_FORMAT=json one JSON object: the message is fixed, so that it can be searched
for, and whatever varies is in `extra`, under a name of `FIELDS`. What the thread works on (a
call, a task) is added to each line. Secrets are masked in all of it, exceptions included.
"""

from __future__ import annotations

import copy
import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import TypeAlias

from taskwire_core.caught import Caught, catch, lines
from taskwire_core.lifecycle import State
from taskwire_core.scope import current_scope
from taskwire_core.scrubbing import scrubbed

FIELDS = frozenset(
    {
        "action",
        "attempt",
        "call",
        "code",
        "count",
        "database_bytes",
        "done",
        "error_type",
        "exit_code",
        "failed",
        "failpoint",
        "file",
        "gateway",
        "grace_s",
        "kind",
        "listen",
        "method",
        "overdue_s",
        "pid",
        "port",
        "problem",
        "queue",
        "reason",
        "size_bytes",
        "skipped",
        "sweep",
        "task",
        "task_id",
        "task_type",
        "types",
        "unwritten",
        "user",
        "worker_id",
        # How many tasks there are in each state.
        *(state.name.lower() for state in State),
    }
)
"""What taskwire's own lines may say; none of these ever holds an input, a result or a secret."""

MAX_TEXT_CHARS = 8_000
"""Of a message and of each field: a handler may log anything, also what it was given."""

_OURS = "taskwire_"
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

# These tell at INFO what every connection does, which is ours to tell.
_TALKATIVE = ("alembic", "dramatiq", "pika", "asyncio", "PIL")
# A failed connection is one line of ours; it is eight errors and a traceback of pika's.
_SILENT = ("pika.adapters",)

_ExcInfo: TypeAlias = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)


class LineFormatter(logging.Formatter):
    """One line per record; the traceback of an exception follows it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, whatever other handlers have made of the record before."""
        fresh = copy.copy(record)
        # Another formatter keeps its own traceback here, with all that is in it.
        fresh.exc_text = None
        return super().format(fresh)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        """Time in UTC, level, logger, message, and the fields."""
        fields = "".join(f" {key}={_shown(value)}" for key, value in fields_of(record).items())
        # A line break in a value must not look like another line of the log.
        message = _masked(record.message).replace("\n", "\\n")
        return f"{_time(record)} {record.levelname:<7} {record.name}  {message}{fields}"

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802  # logging's name
        """The traceback, with its messages scrubbed."""
        return "\n".join(lines(catch(ei[1]))) if ei[1] is not None else ""


class JsonFormatter(logging.Formatter):
    """One JSON object per record and line."""

    def format(self, record: logging.LogRecord) -> str:
        """`time`, `level`, `logger`, `event`; `fields` and `exception` where there are any."""
        found: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "event": _masked(record.getMessage()),
        }
        if fields := fields_of(record):
            found["fields"] = fields
        if record.exc_info and record.exc_info[1] is not None:
            found["exception"] = _exception(catch(record.exc_info[1]))
        return json.dumps(found, ensure_ascii=False)


def log_to_stderr(level: str, form: str = "line") -> None:
    """Log everything from `level` ("INFO") on to stderr; call it once, in a process's main."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else LineFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    if level != "DEBUG":
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.WARNING)
        for name in _SILENT:
            logging.getLogger(name).setLevel(logging.CRITICAL)


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """What the record says beside its message: its `extra`, and what is worked on.

    Of taskwire's own records only `FIELDS` are shown; a handler's own records are its own.
    """
    given = {
        key: _plain(value)
        for key, value in vars(record).items()
        if key not in _STANDARD and not key.startswith("_")
    }
    if str(record.name).startswith(_OURS):
        given = {key: value for key, value in given.items() if key in FIELDS}
    bound: Mapping[str, object] = current_scope().fields
    return {**bound, **given}


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.hex() if isinstance(value, bytes) else _masked(str(value))


def _masked(text: str) -> str:
    # Cut before the masking too, whose time grows with the text; and what a cut leaves of a
    # secret, which would not be known for one, is cut off after it.
    found = scrubbed(text[: 2 * MAX_TEXT_CHARS])
    return found if len(found) <= MAX_TEXT_CHARS else f"{found[: MAX_TEXT_CHARS - 1]}…"


def _shown(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and " " not in text and text else json.dumps(text)


def _time(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _exception(caught: Caught) -> dict[str, object]:
    found: dict[str, object] = {
        "type": caught.type,
        "message": caught.message,
        "stack": [f"{f.file}:{f.line} {f.function}: {f.code}" for f in caught.frames],
    }
    if caught.cause is not None:
        found["cause"] = _exception(caught.cause)
    return found
