"""The migrations make exactly what the models say, up and down, triggers and indexes too."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from taskwire_core.errors import ConfigurationError
from taskwire_db import schema
from taskwire_db.database import Database


def shape(path: Path) -> dict[tuple[str, str], str]:
    """Every table, index and trigger of a database file, its SQL in one normal form."""
    with sqlite3.connect(path) as connection:
        rows = connection.execute(
            "SELECT type, name, sql FROM sqlite_master"
            " WHERE sql IS NOT NULL AND name <> 'alembic_version'"
        ).fetchall()
    return {(kind, name): normal(sql) for kind, name, sql in rows}


def normal(sql: str) -> str:
    return re.sub(r"\s+", " ", sql.replace('"', "")).replace("( ", "(").replace(" )", ")").strip()


def opened(path: Path) -> Database:
    return Database(f"sqlite:///{path}")


def test_the_migrations_make_what_the_models_say(tmp_path: Path) -> None:
    schema.create_all(opened(tmp_path / "models.db"))
    schema.upgrade(opened(tmp_path / "migrations.db"))
    models = shape(tmp_path / "models.db")
    assert shape(tmp_path / "migrations.db") == models
    assert ("trigger", "tasks_state_guard") in models
    assert any("WHERE state = 2" in sql for (kind, _), sql in models.items() if kind == "index")


def test_a_downgrade_removes_everything_and_an_upgrade_brings_it_back(tmp_path: Path) -> None:
    database = opened(tmp_path / "taskwire.db")
    schema.upgrade(database)
    before = shape(tmp_path / "taskwire.db")
    schema.downgrade(database, "base")
    assert shape(tmp_path / "taskwire.db") == {}
    schema.upgrade(database)
    assert shape(tmp_path / "taskwire.db") == before


def test_there_is_nothing_left_to_generate(tmp_path: Path) -> None:
    database = opened(tmp_path / "taskwire.db")
    schema.upgrade(database)
    written = schema.autogenerate(database, "nothing", directory=tmp_path)
    body = written.read_text()
    assert body.count("    pass") == 2, body


def test_a_database_keeps_its_deployment_id(tmp_path: Path) -> None:
    first = opened(tmp_path / "taskwire.db")
    schema.upgrade(first)
    schema.upgrade(first)
    assert opened(tmp_path / "taskwire.db").deployment_id == first.deployment_id


def test_a_database_without_tables_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="run: taskwire db upgrade"):
        schema.check(opened(tmp_path / "taskwire.db"))


def test_a_database_of_a_newer_taskwire_is_refused_in_one_line(tmp_path: Path) -> None:
    database = opened(tmp_path / "taskwire.db")
    schema.upgrade(database)
    with sqlite3.connect(tmp_path / "taskwire.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigurationError, match="newer taskwire"):
        schema.check(database)


def test_a_database_in_a_folder_that_does_not_exist_is_refused_in_one_line(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigurationError, match="cannot reach the database") as caught:
        schema.check(opened(tmp_path / "nowhere" / "taskwire.db"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["mysql://localhost/x", "not a url", "sqlite://"])
def test_a_url_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="TASKWIRE_DATABASE_URL"):
        Database(url)
