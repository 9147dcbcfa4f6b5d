"""Database URLs: which ones taskwire takes, and what is said about the others."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import exc

from taskwire_core.errors import ConfigurationError

_POSTGRESQL = ("postgresql+psycopg", "postgresql", "postgres")
"""What people write for PostgreSQL; all of it is spoken by psycopg 3."""

_EXAMPLES = "sqlite:///path/to/file.db or postgresql://user:password@host:5432/database"


def parse_url(url: str) -> sa.URL:
    """The URL with the driver that taskwire uses for it.

    Raises:
        ConfigurationError: it cannot be used; the text does not quote it.
    """
    try:
        parsed = sa.make_url(url)
    except (exc.ArgumentError, ValueError):
        raise _unknown() from None
    if parsed.drivername in _POSTGRESQL:
        if not parsed.database:
            raise ConfigurationError(f"TASKWIRE_DATABASE_URL names no database; use {_EXAMPLES}")
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise _unknown()
    if not parsed.database:
        raise ConfigurationError(f"TASKWIRE_DATABASE_URL names no file; use {_EXAMPLES}")
    return parsed


def _unknown() -> ConfigurationError:
    return ConfigurationError(
        f"TASKWIRE_DATABASE_URL is not a database URL that taskwire knows; use {_EXAMPLES}"
    )
