"""What the drivers' errors mean to taskwire: the database is away, or another writer was faster."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from sqlalchemy import exc

from taskwire_core.errors import ConfigurationError, StoreUnavailable


class Contended(StoreUnavailable):
    """Another writer was in the way; nothing was written, and another try may well succeed."""


_CONTENDED = {
    "40001",  # serialization failure
    "40P01",  # deadlock
    "55P03",  # lock not available, which a lock that was waited for too long is as well
}
_AWAY = {
    "25006",  # read-only: the server has become, or is still, a standby
    "25P03",  # idle in transaction for too long: this process was stopped in it
    "42501",  # the user may not do this, until somebody grants it
}


_ADVICE = {
    "password authentication failed": "correct the user and the password in TASKWIRE_DATABASE_URL",
    "no password supplied": "write the user and the password into TASKWIRE_DATABASE_URL",
    "resolve host": "correct the host in TASKWIRE_DATABASE_URL",
    "pg_hba.conf": "let this host in with a line in the server's pg_hba.conf",
    "SSL was required": "correct sslmode in TASKWIRE_DATABASE_URL",
    "does not exist": "create it, or correct TASKWIRE_DATABASE_URL; then run: taskwire db upgrade",
    "permission denied": "let the user of TASKWIRE_DATABASE_URL make and use tables",
    "too many clients": "raise the server's max_connections",
}
"""What to do, by a part of what PostgreSQL says; elsewhere the address or the server is wrong."""


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's errors that say "the database is away" into StoreUnavailable.

    Raises:
        ConfigurationError: the URL names something that can never be used.
    """
    try:
        yield
    except (exc.OperationalError, exc.InterfaceError, exc.TimeoutError) as error:
        if _code(error) in _CONTENDED:
            raise Contended(_first_line(error)) from error
        raise _unavailable(error) from error
    except exc.DBAPIError as error:
        if error.connection_invalidated or _code(error) in _AWAY:
            raise _unavailable(error) from error
        text = str(error.orig)
        if "file is not a database" in text:
            raise ConfigurationError(
                "the file that TASKWIRE_DATABASE_URL names is no SQLite database"
            ) from error
        if "connection option" in text:
            raise ConfigurationError(
                f"TASKWIRE_DATABASE_URL has a parameter that PostgreSQL does not know: {text}"
            ) from error
        raise


def _unavailable(error: Exception) -> StoreUnavailable:
    line = _first_line(error)
    for part, advice in _ADVICE.items():
        if part in line:
            return StoreUnavailable(line, advice=advice)
    return StoreUnavailable(line)


def _code(error: Exception) -> str | None:
    return getattr(getattr(error, "orig", None), "sqlstate", None)


def _first_line(error: Exception) -> str:
    original = getattr(error, "orig", None) or error
    return str(original).splitlines()[0] if str(original) else type(original).__name__
