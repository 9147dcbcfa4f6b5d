"""What operators watch of a database."""

from __future__ import annotations

import pytest

from taskwire_db import figures
from taskwire_db.database import Database
from taskwire_db.figures import read_figures
from taskwire_db.reader import Reader
from tests.store.steps import new_task, options, submit


def test_of_too_many_queues_those_with_most_tasks_are_told_how_long_they_wait(
    database: Database, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "_MOST_QUEUES", 2)
    for queue in ("aa", "ab", "ac", "images", "images", "zoo", "zoo"):
        submit(database, new_task(opts=options(queue=queue)))

    assert read_figures(reader).oldest_s.keys() == {"images", "zoo"}
