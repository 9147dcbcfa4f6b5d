"""Both stores for every test that asks: a new database on SQLite, and one on PostgreSQL.

A test that takes `store_url`, or a fixture that does, runs twice: `[sqlite]`, which is fast, and
`[postgresql]`, which is marked `servers`.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Protocol

import psycopg
import pytest

from taskwire_db import schema
from taskwire_db.database import Database
from tests.support.postgres import PostgresServer, database_of

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)]
"""What a fixture is parametrised with to have every test on both stores."""


class Stores(Protocol):
    """Makes new databases of one kind, with taskwire's tables or without."""

    kind: str

    def empty(self) -> AbstractContextManager[str]:
        """The URL of a database without tables."""

    def migrated(self) -> AbstractContextManager[str]:
        """The URL of a database at the newest revision, with a deployment id of its own."""


class SqliteStores:
    """Files; one that was migrated once is copied, because migrations take longer than tests."""

    kind = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._template: Path | None = None

    @contextmanager
    def empty(self) -> Iterator[str]:
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            yield f"sqlite:///{folder / 'taskwire.db'}"
        finally:
            shutil.rmtree(folder)

    @contextmanager
    def migrated(self) -> Iterator[str]:
        if self._template is None:
            self._template = self._folder / "template.db"
            _migrate(f"sqlite:///{self._template}")
        with self.empty() as url:
            file = shutil.copy(self._template, url.removeprefix("sqlite:///"))
            with closing(sqlite3.connect(file, isolation_level=None)) as connection:
                connection.execute("UPDATE deployment SET id = randomblob(16)")
            yield url


class PostgresqlStores:
    """Databases of one server. A migrated one is emptied after its test and used again."""

    kind = "postgresql"

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._template: str | None = None
        self._free: list[_Reusable] = []

    @contextmanager
    def empty(self) -> Iterator[str]:
        with database_of(self._server) as url:
            yield url

    @contextmanager
    def migrated(self) -> Iterator[str]:
        if not self._free:
            self._free.append(self._another())
        found = self._free.pop()
        yield found.url
        # A test that changed its tables as well keeps them to itself.
        with suppress(psycopg.Error):
            found.reset()
            self._free.append(found)

    def close(self) -> None:
        """End the connections that the databases are emptied over."""
        for each in self._free:
            each.connection.close()

    def _another(self) -> _Reusable:
        if self._template is None:
            self._template = self._server.create()
            _migrate(self._server.url(self._template))
        return _Reusable(self._server.url(self._server.create(like=self._template)))


class _Reusable:
    """A migrated database that can be made as it was in the beginning."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.connection = psycopg.connect(url, autocommit=True)
        tables = [row[0] for row in self.connection.execute(_TABLES)]
        # What the migrations wrote is kept beside, where nobody looks.
        self.connection.execute("CREATE SCHEMA seed")
        for table in tables:
            self.connection.execute(f"CREATE TABLE seed.{table} AS TABLE public.{table}")
        again = [
            f"DELETE FROM public.{t}; INSERT INTO public.{t} SELECT * FROM seed.{t}" for t in tables
        ]
        self._reset = "; ".join([_ALONE, *again, _NAME])
        self.connection.execute(_NAME)

    def reset(self) -> None:
        """Forget what a test wrote, and end what it has left connected."""
        self.connection.execute(self._reset)


_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
_NAME = "UPDATE deployment SET id = decode(md5(random()::text), 'hex')"
_ALONE = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


def _migrate(url: str) -> None:
    database = Database(url)
    schema.upgrade(database)
    database.checkpoint()
    database.close()


def sync_nothing(database: Database) -> None:
    """Leave SQLite's syncs out where no power is cut: a long test would only wait for them."""
    if database.is_sqlite:
        with database.engine.connect() as connection:
            raw = connection.connection.dbapi_connection
            assert raw is not None
            raw.execute("PRAGMA synchronous=OFF")


def stores_of(kind: str, request: pytest.FixtureRequest) -> Stores:
    """The run's maker of databases of `kind`, "sqlite" or "postgresql"."""
    found: Stores = request.getfixturevalue(f"{kind}_stores")
    return found


@pytest.fixture(scope="session")
def sqlite_stores(tmp_path_factory: pytest.TempPathFactory) -> Stores:
    """New databases on SQLite."""
    return SqliteStores(tmp_path_factory.mktemp("stores"))


@pytest.fixture(scope="session")
def postgresql_stores(postgres: PostgresServer) -> Iterator[Stores]:
    """New databases on PostgreSQL."""
    stores = PostgresqlStores(postgres)
    yield stores
    stores.close()


@pytest.fixture(params=BOTH)
def stores(request: pytest.FixtureRequest) -> Stores:
    """New databases on one store and then on the other."""
    return stores_of(request.param, request)


@pytest.fixture
def store_url(stores: Stores) -> Iterator[str]:
    """A new database with taskwire's tables, on one store and then on the other."""
    with stores.migrated() as url:
        yield url
