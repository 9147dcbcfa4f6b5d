"""A new, empty database for every test of the store, and a clock that tests move."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from taskwire_db import schema
from taskwire_db.database import Database
from taskwire_db.reader import Reader
from tests.store.steps import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'taskwire.db'}"


@pytest.fixture
def database(url: str, clock: ManualClock) -> Iterator[Database]:
    opened = Database(url, clock=clock)
    schema.create_all(opened)
    yield opened
    opened.close()


@pytest.fixture
def reader(database: Database, url: str, clock: ManualClock) -> Iterator[Reader]:
    opened = Reader(url, clock=clock)
    yield opened
    opened.close()
