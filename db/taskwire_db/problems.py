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
}


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's errors that say "the database is away" into StoreUnavailable."""
    try:
        yield
    except (exc.OperationalError, exc.InterfaceError, exc.TimeoutError) as error:
        if _code(error) in _CONTENDED:
            raise Contended(_first_line(error)) from error
        raise StoreUnavailable(_first_line(error)) from error
    except exc.DBAPIError as error:
        if error.connection_invalidated or _code(error) in _AWAY:
            raise StoreUnavailable(_first_line(error)) from error
        if "file is not a database" in str(error.orig):
            raise ConfigurationError(
                "the file that TASKWIRE_DATABASE_URL names is no SQLite database"
            ) from error
        raise


def _code(error: Exception) -> str | None:
    return getattr(getattr(error, "orig", None), "sqlstate", None)


def _first_line(error: Exception) -> str:
    original = getattr(error, "orig", None) or error
    return str(original).splitlines()[0] if str(original) else type(original).__name__
