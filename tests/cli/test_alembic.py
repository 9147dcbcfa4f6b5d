"""`alembic` itself, as everybody uses it, on a copy of what a clone has."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from taskwire_core.user import UserLookup
from taskwire_db import revision
from taskwire_db.database import Database
from taskwire_db.reader import Reader
from tests.support.embedded import environment
from tests.support.stores import Stores

ROOT = Path(__file__).parents[2]
NAME = '    display_name: Mapped[str] = mapped_column(sa.Text, default="")\n'
PHONE = "    phone: Mapped[str | None] = mapped_column(sa.Text)\n"


class Clone:
    """A copy of the clone's room `db` and `alembic.ini`, with a database of its own."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.orm = folder / "db" / "taskwire_db" / "orm.py"
        self.url = url
        self.settings = {"database_url": url}
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "db", folder / "db", ignore=ignored)
        shutil.copy(ROOT / "alembic.ini", folder)

    def alembic(self, *arguments: str, code: int = 0) -> str:
        """What `alembic` prints."""
        done = subprocess.run(
            [sys.executable, "-m", "alembic", *arguments],
            env={**environment(**self.settings), "PYTHONPATH": str(self.folder / "db")},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    def columns(self) -> set[str]:
        """Of the table of users."""
        with opened(self.url) as database:
            return {column["name"] for column in sa.inspect(database.engine).get_columns("users")}


@contextmanager
def opened(url: str) -> Iterator[Database]:
    database = Database(url)
    try:
        yield database
    finally:
        database.close()


@pytest.fixture
def clone(stores: Stores, tmp_path: Path) -> Iterator[Clone]:
    """With a database that has nothing in it, on one store and then on the other."""
    with stores.empty() as url:
        yield Clone(tmp_path, url)


def test_a_new_column_becomes_a_migration_that_goes_up_and_down(clone: Clone) -> None:
    clone.alembic("upgrade", "head")
    assert "No new upgrade operations" in clone.alembic("check")
    clone.orm.write_text(clone.orm.read_text().replace(NAME, NAME + PHONE))
    clone.alembic("revision", "--autogenerate", "-m", "The phone of a user", "--rev-id", "9000")
    written = clone.folder / "db/taskwire_db/migrations/versions/9000_the_phone_of_a_user.py"
    assert "phone" in written.read_text()
    clone.alembic("upgrade", "head")
    assert "phone" in clone.columns()
    assert "9000 (head)" in clone.alembic("current")
    clone.alembic("downgrade", "-1")
    assert "phone" not in clone.columns()


def test_a_database_that_alembic_made_is_whole(clone: Clone) -> None:
    clone.alembic("upgrade", "head")
    with opened(clone.url) as database, closing(Reader(clone.url)) as reader:
        revision.check(database)
        assert len(database.deployment_id) == 16
        assert [user.username for user in reader.users(UserLookup(10))] == ["dev"]


def test_without_a_url_it_is_the_database_of_dev(tmp_path: Path) -> None:
    clone = Clone(tmp_path, "")
    clone.settings = {"data_dir": str(clone.folder / "data")}
    clone.alembic("upgrade", "head")
    assert (clone.folder / "data" / "taskwire.db").exists()


def test_alembic_refuses_a_database_of_a_newer_release_and_to_write_sql(clone: Clone) -> None:
    clone.alembic("upgrade", "head")
    with opened(clone.url) as database, database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    assert "Can't locate revision identified by '9999'" in clone.alembic(
        "upgrade", "head", code=255
    )
    assert "leave --sql out" in clone.alembic("upgrade", "head", "--sql", code=255)
