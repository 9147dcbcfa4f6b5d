"""Both stores for every test that asks: a new database on SQLite, and one on PostgreSQL.

A test that takes `store_url`, or a fixture that does, runs twice: `[sqlite]`, which is fast, and
`[postgresql]`, which is marked `servers`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from taskwire_db import schema
from taskwire_db.database import Database, new_deployment
from taskwire_db.models import deployment
from tests.support.postgres import PostgresServer, database_of

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)]
"""What a fixture is parametrised with to have every test on both stores."""


class Stores:
    """Makes new databases of one kind, with taskwire's tables or without."""

    def __init__(self, folder: Path, server: PostgresServer | None) -> None:
        self.kind = "sqlite" if server is None else "postgresql"
        self._folder = folder
        self._server = server
        self._template: str | None = None

    @contextmanager
    def empty(self) -> Iterator[str]:
        """The URL of a database without tables."""
        if self._server is not None:
            with database_of(self._server) as url:
                yield url
            return
        with self._file() as path:
            yield f"sqlite:///{path}"

    @contextmanager
    def migrated(self) -> Iterator[str]:
        """The URL of a database at the newest revision, with a deployment id of its own."""
        if self._template is None:
            self._template = self._make_template()
        if self._server is not None:
            with database_of(self._server, like=self._template) as url:
                _name(url)
                yield url
            return
        with self._file() as path:
            shutil.copy(self._template, path)
            _name(f"sqlite:///{path}")
            yield f"sqlite:///{path}"

    def _make_template(self) -> str:
        """Copies of this are made in no time: the migrations take longer than most tests."""
        if self._server is None:
            name = str(self._folder / "template.db")
            url = f"sqlite:///{name}"
        else:
            name = self._server.create()
            url = self._server.url(name)
        database = Database(url)
        schema.upgrade(database)
        with database.transaction() as tx:
            tx.connection.execute(sa.delete(deployment))
        database.checkpoint()
        database.close()
        return name

    @contextmanager
    def _file(self) -> Iterator[Path]:
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            yield folder / "taskwire.db"
        finally:
            shutil.rmtree(folder)


def _name(url: str) -> None:
    """Give a copied database its deployment id."""
    database = Database(url)
    with database.transaction() as tx:
        new_deployment(tx.connection, tx.now_us)
    database.close()


def stores_of(kind: str, request: pytest.FixtureRequest) -> Stores:
    """The run's maker of databases of `kind`, "sqlite" or "postgresql"."""
    found: Stores = request.getfixturevalue(f"{kind}_stores")
    return found


@pytest.fixture(scope="session")
def sqlite_stores(tmp_path_factory: pytest.TempPathFactory) -> Stores:
    """New databases on SQLite."""
    return Stores(tmp_path_factory.mktemp("stores"), None)


@pytest.fixture(scope="session")
def postgresql_stores(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Stores:
    """New databases on PostgreSQL."""
    return Stores(tmp_path_factory.mktemp("stores"), postgres)


@pytest.fixture(params=BOTH)
def stores(request: pytest.FixtureRequest) -> Stores:
    """New databases on one store and then on the other."""
    return stores_of(request.param, request)


@pytest.fixture
def store_url(stores: Stores) -> Iterator[str]:
    """A new database with taskwire's tables, on one store and then on the other."""
    with stores.migrated() as url:
        yield url
