"""That no two embedded processes mean the same database."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from taskwire_core.errors import ConfigurationError
from taskwire_core.settings import Settings
from taskwire_db.database import Database


@contextlib.contextmanager
def claimed(settings: Settings) -> Iterator[None]:
    """The database is this embedded process's alone inside the block.

    An embedded process takes everything that runs for its own. The lock of the data folder
    sees to that unless TASKWIRE_DATABASE_URL names a file elsewhere, which is locked here.

    Raises:
        ConfigurationError: another process has it, or it is no SQLite file.
    """
    if not settings.database_url:
        yield
        return
    file = _file_of(settings.database_url)
    try:
        lock = os.open(f"{file}-dev", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError(
            f"the database {file} cannot be used: {error.strerror}; check TASKWIRE_DATABASE_URL"
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise ConfigurationError(
            f"the database {file} is in use by another `taskwire dev`; stop that one,"
            " or set TASKWIRE_DATABASE_URL to another file"
        ) from None
    finally:
        os.close(lock)


def _file_of(url: str) -> Path:
    database = Database(url)
    try:
        if database.is_sqlite and database.url.database:
            return Path(database.url.database).absolute()
    finally:
        database.close()
    raise ConfigurationError(
        "without RabbitMQ and Redis `taskwire dev` works on a SQLite file only: leave"
        " TASKWIRE_DATABASE_URL out, or set TASKWIRE_RABBITMQ_URL and TASKWIRE_REDIS_URL too"
    )
