"""The databases that the benchmark finds full: as many tasks as were asked for, all of the past."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from bench import filled
from bench.many_tasks import GAP_US, START_US
from taskwire_db.database import Database
from taskwire_db.models import task_counters, task_events, task_labels, tasks


@pytest.fixture
def million(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """What stands for a million, in a place of this test's own."""
    monkeypatch.setattr(filled, "_PLACE", tmp_path / "kept")
    monkeypatch.setattr(filled, "MILLION", 200)
    return 200


def test_more_than_a_million_tasks_are_denser_and_not_later(million: int, tmp_path: Path) -> None:
    filled.filled(3 * million)(tmp_path / "taskwire.db")

    database = Database(f"sqlite:///{tmp_path / 'taskwire.db'}")
    with database.engine.connect() as connection:
        ids = [bytes(row[0]) for row in connection.execute(sa.select(tasks.c.id))]
        events = connection.scalar(sa.select(sa.func.count()).select_from(task_events))
        labelled = sa.select(sa.func.count(task_labels.c.task_id.distinct()))
        counted = connection.scalar(sa.select(sa.func.sum(task_counters.c.count)))
        assert (len(set(ids)), events, counted) == (600, 600, 600)
        assert connection.scalar(labelled) == 600
    database.close()
    newest_us = int.from_bytes(max(ids)[:6]) * 1_000
    assert newest_us < START_US + million * GAP_US


def test_a_number_that_is_no_number_of_millions_is_refused(million: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a number of millions"):
        filled.filled(3 * million + 1)(tmp_path / "taskwire.db")
