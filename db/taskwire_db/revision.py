"""The schema's revision, as every service asks for it at its start.

Alembic, which knows the way from one revision to another, is loaded by whoever goes it: it would
add a third of a second and eight megabytes to each process.
"""

from __future__ import annotations

import sqlalchemy as sa

from taskwire_core.errors import ConfigurationError, StoreUnavailable
from taskwire_db.database import Database

NEEDED = "0011"
"""The revision that this version of taskwire works with: that of the newest migration."""

_TABLE = "alembic_version"


def current(database: Database) -> str | None:
    """The revision that the database is at; None when it was never upgraded.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    with database.connect() as connection:
        if not sa.inspect(connection).has_table(_TABLE):
            return None
        found: str | None = connection.execute(
            sa.select(sa.column("version_num")).select_from(sa.table(_TABLE))
        ).scalar()
        return found


def check(database: Database) -> None:
    """Refuse a database that is at another revision.

    Raises:
        ConfigurationError: it is at another revision, or cannot be reached; one line.
    """
    try:
        require_unicode(database)
        found = current(database)
    except StoreUnavailable as error:
        raise ConfigurationError(
            f"cannot reach the database at {database.place}: {error}; {error.advice}"
        ) from error
    if found == NEEDED:
        return
    if found is None:
        raise ConfigurationError(
            "the database has no taskwire tables yet; run: taskwire db upgrade"
        )
    from taskwire_db.schema import other_revision

    raise other_revision(found)


def require_unicode(database: Database) -> None:
    """Refuse a database that could not hold every text.

    Raises:
        ConfigurationError: its encoding is another one than UTF-8.
        StoreUnavailable: it does not answer.
    """
    if database.is_sqlite:
        return
    with database.connect() as connection:
        encoding: str = connection.execute(sa.text("SHOW server_encoding")).scalar_one()
    if encoding != "UTF8":
        raise ConfigurationError(
            f"the database's encoding is {encoding}; create it with ENCODING 'UTF8',"
            " or some texts could not be stored"
        )
