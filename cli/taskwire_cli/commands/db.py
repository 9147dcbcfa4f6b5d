"""`taskwire db`: the schema of the database, moved by a person who means it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import click

from taskwire_cli.configured import current_settings
from taskwire_core.failpoints import arm
from taskwire_db import schema
from taskwire_db.database import Database
from taskwire_db.place import database_url
from taskwire_db.revision import current


@click.group()
def db() -> None:
    """Look after the database that TASKWIRE_DATABASE_URL names.

    Without that variable it is the one of `taskwire dev`, in TASKWIRE_DATA_DIR.
    """


@db.command()
@click.argument("revision", default="head")
def upgrade(revision: str) -> None:
    """Bring the schema to REVISION, by default to the one that this taskwire needs.

    Stop older gateways and workers first, unless the release notes say that they may stay.

    \b
    Example:
      TASKWIRE_DATABASE_URL=sqlite:////var/lib/taskwire/tasks.db taskwire db upgrade
    """
    with _database() as database:
        before = current(database)
        schema.upgrade(database, revision)
        print(_moved(before, current(database)))


@db.command()
@click.argument("revision")
@click.option("--yes", is_flag=True, help="Do not ask.")
def downgrade(revision: str, yes: bool) -> None:
    """Take the schema back to REVISION; "base" removes every table and all tasks.

    Whatever the newer schema holds and the older one cannot is lost: make a backup first.

    \b
    Example:
      taskwire db downgrade 0001 --yes
    """
    with _database() as database:
        before = current(database)
        if not yes:
            click.confirm(
                f"Downgrade {database.place} from {before or 'base'} to {revision}?"
                " Data that the older schema cannot hold is lost.",
                abort=True,
                err=True,
            )
        schema.downgrade(database, revision)
        print(_moved(before, current(database)))


@db.command()
@click.option("--message", "-m", help="Write a new migration with this title instead.")
def revision(message: str | None) -> None:
    """Show the revision of the database and the one that this taskwire needs.

    With --message, for people who work on taskwire: write the difference between the models and
    the database into a new migration.

    \b
    Examples:
      taskwire db revision
      taskwire db revision --message 'The priority of a task'
    """
    with _database() as database:
        if message:
            print(schema.autogenerate(database, message))
            return
        found = current(database)
        print(f"database: {found or 'no tables yet'}")
        print(f"needed:   {schema.head()}")


@contextlib.contextmanager
def _database() -> Iterator[Database]:
    settings = current_settings()
    arm(settings.failpoints)
    database = Database(database_url(settings))
    try:
        yield database
    finally:
        database.close()


def _moved(before: str | None, after: str | None) -> str:
    if before == after:
        return f"The database is at revision {after or 'base'} already."
    return f"The database is now at revision {after or 'base'} (it was at {before or 'base'})."
