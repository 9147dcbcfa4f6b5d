"""`taskwire db` on a database of the test's own."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

import psycopg
import pytest

from taskwire_db import schema
from tests.cli.conftest import Taskwire
from tests.support.postgres import PostgresServer, database_of
from tests.support.stores import Stores


@pytest.fixture
def taskwire(bare: Taskwire, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Taskwire:
    monkeypatch.setenv("TASKWIRE_DATA_DIR", str(tmp_path))
    return bare


def tables(folder: Path) -> set[str]:
    connection = sqlite3.connect(folder / "taskwire.db")
    try:
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {name for (name,) in rows}
    finally:
        connection.close()


def test_upgrade_makes_the_tables_and_says_so(taskwire: Taskwire, tmp_path: Path) -> None:
    answer = taskwire("db", "upgrade")
    assert answer.code == 0, answer.err
    assert f"now at revision {schema.head()} (it was at base)" in answer.out
    assert "tasks" in tables(tmp_path)
    assert "already" in taskwire("db", "upgrade").out


def test_revision_tells_both(taskwire: Taskwire) -> None:
    assert "no tables yet" in taskwire("db", "revision").out
    taskwire("db", "upgrade")
    assert taskwire("db", "revision").out.count(schema.head()) == 2


def test_downgrade_with_yes_asks_nothing(taskwire: Taskwire, tmp_path: Path) -> None:
    taskwire("db", "upgrade")
    answer = taskwire("db", "downgrade", "base", "--yes")
    assert answer.code == 0, answer.err
    assert "tasks" not in tables(tmp_path)


def test_downgrade_without_yes_needs_an_answer(
    taskwire: Taskwire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taskwire("db", "upgrade")
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: "n")
    assert taskwire("db", "downgrade", "base").code == 130
    assert "tasks" in tables(tmp_path)


@pytest.mark.parametrize("command", ["upgrade", "downgrade"])
def test_an_unknown_revision_is_one_line(taskwire: Taskwire, command: str) -> None:
    taskwire("db", "upgrade")
    arguments = ("--yes",) if command == "downgrade" else ()
    answer = taskwire("db", command, "nowhere", *arguments)
    assert answer.code == 2
    assert "nowhere" in answer.line


@pytest.mark.parametrize("command", ["upgrade", "downgrade"])
def test_a_database_of_a_newer_taskwire_is_one_line(
    taskwire: Taskwire, tmp_path: Path, command: str
) -> None:
    taskwire("db", "upgrade")
    connection = sqlite3.connect(tmp_path / "taskwire.db")
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    answer = taskwire("db", command, *(("base", "--yes") if command == "downgrade" else ()))
    assert answer.code == 2
    assert "written by a newer taskwire: upgrade this program" in answer.line
    assert "tasks" in tables(tmp_path)


def test_an_url_that_is_none_is_one_line(
    taskwire: Taskwire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASKWIRE_DATABASE_URL", "mysql://user:secret@host/x")
    answer = taskwire("db", "upgrade")
    assert answer.code == 2
    assert "secret" not in answer.line


def test_a_file_that_is_no_database_is_one_line(taskwire: Taskwire, tmp_path: Path) -> None:
    (tmp_path / "taskwire.db").write_text("Dear diary, " * 100)
    answer = taskwire("db", "upgrade")
    assert answer.code == 2
    assert "is no SQLite database" in answer.line


def test_a_database_that_does_not_answer_is_one_line(
    taskwire: Taskwire, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TASKWIRE_DATABASE_URL", f"sqlite:///{tmp_path / 'nowhere' / 'x.db'}")
    answer = taskwire("db", "upgrade")
    assert answer.code == 2
    assert answer.line.startswith("taskwire: the database does not answer: ")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("postgres://user:secret@127.0.0.1:1/x", "Connection refused; check TASKWIRE_DATABASE_URL"),
        ("postgres://user:secret@nowhere.invalid/x", "correct the host in TASKWIRE_DATABASE_URL"),
        ("postgres://user:secret@127.0.0.1:1/x?nonsense=secret", "has a parameter that PostgreSQL"),
        ("postgres://user:secret@127.0.0.1", "names no database"),
    ],
)
def test_a_postgresql_that_cannot_be_reached_is_one_line(
    taskwire: Taskwire, monkeypatch: pytest.MonkeyPatch, url: str, problem: str
) -> None:
    monkeypatch.setenv("TASKWIRE_DATABASE_URL", url)
    answer = taskwire("db", "upgrade")
    assert answer.code == 2
    assert problem in answer.line
    assert "secret" not in answer.line


@pytest.mark.servers
def test_a_postgresql_that_refuses_says_what_to_do_in_one_line(
    taskwire: Taskwire, monkeypatch: pytest.MonkeyPatch, postgres: PostgresServer
) -> None:
    for url, problem in [
        (postgres.url("postgres", password="secret"), "correct the user and the password in"),
        (postgres.url("nowhere"), "does not exist; create it, or correct TASKWIRE_DATABASE_URL"),
        (postgres.url("postgres") + "?sslmode=require", "correct sslmode in TASKWIRE_DATABASE_URL"),
    ]:
        monkeypatch.setenv("TASKWIRE_DATABASE_URL", url)
        answer = taskwire("db", "upgrade")
        assert answer.code == 2
        assert problem in answer.line
        assert "secret" not in answer.line
        assert "tea" not in answer.line


@pytest.mark.servers
def test_a_user_who_may_make_no_tables_is_one_line(
    taskwire: Taskwire, monkeypatch: pytest.MonkeyPatch, postgres: PostgresServer
) -> None:
    with database_of(postgres) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP ROLE IF EXISTS poor")
            connection.execute("CREATE ROLE poor LOGIN PASSWORD 'secret'")
        name = url.rpartition("/")[2]
        monkeypatch.setenv(
            "TASKWIRE_DATABASE_URL", f"postgresql://poor:secret@127.0.0.1:{postgres.port}/{name}"
        )
        answer = taskwire("db", "upgrade")
    assert answer.code == 2
    assert "let the user of TASKWIRE_DATABASE_URL make and use tables" in answer.line
    assert "secret" not in answer.line


def test_a_missing_driver_is_one_line(taskwire: Taskwire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.setenv("TASKWIRE_DATABASE_URL", "postgres://user:secret@127.0.0.1:1/x")
    answer = taskwire("db", "upgrade")
    assert answer.code == 2
    assert "pip install 'psycopg[binary]'" in answer.line


def test_every_command_works_on_both_stores(
    taskwire: Taskwire, monkeypatch: pytest.MonkeyPatch, stores: Stores
) -> None:
    with stores.empty() as url:
        monkeypatch.setenv("TASKWIRE_DATABASE_URL", url)
        assert "no tables yet" in taskwire("db", "revision").out
        assert f"now at revision {schema.head()}" in taskwire("db", "upgrade").out
        assert taskwire("db", "revision").out.count(schema.head()) == 2
        assert "now at revision base" in taskwire("db", "downgrade", "base", "--yes").out
