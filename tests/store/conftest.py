"""A new, empty database for every test of the store, and a clock that tests move.

Whatever asks for `url`, `database` or `reader` runs on SQLite and on PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from taskwire_db.database import Database
from taskwire_db.reader import Reader
from tests.store.steps import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def url(store_url: str) -> str:
    return store_url


@pytest.fixture
def database(url: str, clock: ManualClock) -> Iterator[Database]:
    opened = Database(url, clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def reader(database: Database, url: str, clock: ManualClock) -> Iterator[Reader]:
    opened = Reader(url, clock=clock)
    yield opened
    opened.close()
