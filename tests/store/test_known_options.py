"""A process knows some option sets, and forgets them when every task has a set of its own."""

from __future__ import annotations

import pytest

from taskwire_db import codec
from taskwire_db.database import Database
from taskwire_db.reader import Reader
from tests.store.steps import START_US, new_task, options, submit

_MOST = 3


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskwire_db.known_options.MOST", _MOST)


def test_a_page_of_more_sets_than_are_kept_is_read(database: Database, reader: Reader) -> None:
    sets = [options(total_timeout=second) for second in range(1, 3 * _MOST)]
    made = {submit(database, new_task(opts=each)).id: each for each in sets}
    for _ in range(2):
        found = reader.get(list(made))
        assert {task.id: task.options for task in found.values()} == made


def test_sets_are_forgotten_when_they_are_too_many(database: Database) -> None:
    keys = []
    for second in range(1, 3 * _MOST):
        opts = options(total_timeout=second)
        submit(database, new_task(opts=opts))
        keys.append(codec.encode_options(opts)[0])
        assert database.options.is_stored(keys[-1], START_US)
    assert len(database.options.among(keys)) <= _MOST
    assert sum(database.options.is_stored(key, START_US) for key in keys) <= _MOST
