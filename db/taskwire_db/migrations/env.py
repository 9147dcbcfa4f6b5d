"""Alembic's entry, for `taskwire db` and for the command `alembic` alike.

`schema.py` hands its connection over. Without one, the settings say which database it is.
"""

from __future__ import annotations

import logging
import warnings

import sqlalchemy as sa
from alembic import context
from alembic.util import CommandError

from taskwire_core.failpoints import ARMED, hit
from taskwire_db import schema
from taskwire_db.database import Database
from taskwire_db.orm import metadata
from taskwire_db.place import configured_url


def migrate(connection: sa.Connection) -> str | None:
    """Run what the command asks for on `connection`; the revision afterwards."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        # SQLite cannot ALTER most things: batch mode rebuilds the table instead. A migration
        # that does so must make the table's triggers and partial indexes again.
        render_as_batch=connection.dialect.name == "sqlite",
        on_version_apply=_stepped,
    )
    with context.begin_transaction(), warnings.catch_warnings():
        # SQLite does not show what an index on lower(column) is made of.
        warnings.filterwarnings("ignore", message=".*expression-based index")
        context.run_migrations()
        return context.get_context().get_current_revision()


def _stepped(*_: object, **__: object) -> None:
    if ARMED:
        hit("migrate.step")


def from_settings() -> None:
    """`alembic …`: as `taskwire db` does, a database that came to the head is founded."""
    if context.is_offline_mode():
        raise CommandError("taskwire's migrations need a database; leave --sql out")
    logging.basicConfig(format="%(levelname)s [%(name)s] %(message)s")
    logging.getLogger("alembic.runtime.migration").setLevel(logging.INFO)
    database = Database(configured_url())
    with schema.migrating(database) as connection:
        revision = migrate(connection)
    if revision == context.script.get_current_head():
        schema.found_deployment(database)
    database.close()


given = context.config.attributes.get("connection")
if given is None:
    from_settings()
else:
    migrate(given)
