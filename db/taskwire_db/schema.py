"""Changing the schema: upgrade, downgrade, write a new migration."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import Script, ScriptDirectory

from taskwire_core.errors import ConfigurationError
from taskwire_core.failpoints import ARMED, hit
from taskwire_core.user import DEV
from taskwire_db.change_entry import drop_foreign_log
from taskwire_db.database import Database, new_deployment
from taskwire_db.operations.users import acting_user
from taskwire_db.orm import metadata
from taskwire_db.revision import current, require_unicode

MIGRATIONS = Path(__file__).parent / "migrations"

_MIGRATION = 0x7461736B77697265
"""The advisory lock of whoever changes the schema: "taskwire" in ASCII."""


def upgrade(database: Database, revision: str = "head") -> None:
    """Bring the schema to `revision`, and name a new database.

    Raises:
        ConfigurationError: there is no such revision, or the database is of a newer taskwire.
        StoreUnavailable: the database does not answer.
    """
    _refuse_newer(database)
    with _alembic(database) as config:
        command.upgrade(config, revision)
    if current(database) == head():
        found_deployment(database)


def found_deployment(database: Database) -> None:
    """Give a new database its name and its first user; an existing one keeps its own, and a
    restored one begins its change log anew if it has to.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    with database.transaction() as transaction:
        _take_turns(transaction.connection)
        new_deployment(transaction.connection, transaction.now_us)
        acting_user(transaction, [DEV])
        drop_foreign_log(transaction.connection)


def downgrade(database: Database, revision: str) -> None:
    """Take the schema back to `revision` ("base" removes every table and all data).

    Raises:
        ConfigurationError: there is no such revision, or the database is of a newer taskwire.
        StoreUnavailable: the database does not answer.
    """
    _refuse_newer(database)
    with _alembic(database) as config:
        command.downgrade(config, revision)


def autogenerate(database: Database, message: str, *, directory: Path | None = None) -> Path:
    """A new migration file with the difference between the models and `database`.

    `directory` is where it is written (default: the package's own versions).
    """
    with _alembic(database) as config:
        if directory is not None:
            places = os.pathsep.join([str(MIGRATIONS / "versions"), str(directory)])
            config.set_main_option("path_separator", "os")
            config.set_main_option("version_locations", places)
        script = command.revision(
            config,
            message,
            autogenerate=True,
            version_path=directory and str(directory),
        )
    if not isinstance(script, Script):
        raise ConfigurationError("alembic wrote no migration")
    return Path(script.path)


def head() -> str:
    """The revision that this version of taskwire works with."""
    return _scripts().get_current_head() or "base"


def _refuse_newer(database: Database) -> None:
    found = current(database)
    if found is not None and not _is_known(found):
        raise other_revision(found)


def _is_known(revision: str) -> bool:
    return revision in {script.revision for script in _scripts().walk_revisions()}


def other_revision(found: str) -> ConfigurationError:
    """What to say of a database that is at the revision `found`."""
    advice = (
        "run: taskwire db upgrade"
        if _is_known(found)
        else "it was written by a newer taskwire: upgrade this program, or restore a backup"
    )
    return ConfigurationError(
        f"the database is at revision {found}, this taskwire needs {head()}; {advice}"
    )


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(MIGRATIONS))


@contextlib.contextmanager
def _alembic(database: Database) -> Iterator[Config]:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    try:
        with migrating(database) as connection:
            config.attributes["connection"] = connection
            yield config
    except Exception as error:
        if type(error).__module__.startswith("alembic."):
            raise ConfigurationError(f"{error}; see: taskwire db --help") from error
        raise


@contextlib.contextmanager
def migrating(database: Database) -> Iterator[sa.Connection]:
    """A connection for one who migrates, and nobody else does meanwhile; committed at the end.

    Raises:
        ConfigurationError: the database cannot hold every text.
        StoreUnavailable: the database does not answer.
    """
    require_unicode(database)
    with database.connect() as connection:
        _take_turns(connection)
        yield connection
        connection.commit()
        if ARMED:
            hit("migrate.committed")


def _take_turns(connection: sa.Connection) -> None:
    """Wait for whoever migrates this PostgreSQL at the moment; SQLite's writers wait anyway.

    Until the end of the transaction a statement may take its time. One that waits for a table's
    lock may not: everybody else would wait behind it.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
        connection.execute(sa.text("SET LOCAL lock_timeout = 0"))
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION)))
        connection.execute(sa.text("SET LOCAL lock_timeout = '10s'"))


def create_all(database: Database) -> None:
    """Every table straight from the models; for tests that compare them with the migrations."""
    with database.connect() as connection:
        metadata.create_all(connection)
        connection.commit()
    found_deployment(database)
