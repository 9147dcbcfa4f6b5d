"""The migrations make exactly what the models say, up and down, triggers and indexes too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from taskwire_core.changes import Cursor, CursorExpired
from taskwire_core.errors import ConfigurationError
from taskwire_core.follow_up import Condition
from taskwire_core.task import Task, View
from taskwire_db import operations as ops
from taskwire_db import revision, schema
from taskwire_db.change_log import head
from taskwire_db.database import Database
from taskwire_db.group import is_unlimited
from taskwire_db.models import deployment
from taskwire_db.orm import metadata
from taskwire_db.reader import Reader
from tests.store.steps import cancel, follow_up, new_task, running, submit, succeed
from tests.support.embedded import COMMAND, environment
from tests.support.postgres import PostgresServer
from tests.support.processes import spawn
from tests.support.stores import Stores

Shape = dict[tuple[str, str], str]


@pytest.fixture
def empty(stores: Stores) -> Iterator[Database]:
    """A database without tables."""
    with stores.empty() as url:
        database = Database(url)
        yield database
        database.close()


@pytest.fixture
def second(stores: Stores) -> Iterator[Database]:
    """Another one."""
    with stores.empty() as url:
        database = Database(url)
        yield database
        database.close()


def shape(database: Database) -> Shape:
    """Every table, index and trigger of a database, its SQL in one normal form."""
    with database.connect() as connection:
        rows = connection.execute(_SQLITE if database.is_sqlite else _POSTGRESQL).all()
    return {(kind, name): normal(sql) for kind, name, sql in rows if "alembic" not in name}


_SQLITE = sa.text("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL")
_POSTGRESQL = sa.text("""
    SELECT 'column', table_name || '.' || column_name, concat_ws(' ', data_type, is_nullable)
    FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT 'trigger', tgname, pg_get_triggerdef(oid) FROM pg_trigger
    WHERE NOT tgisinternal
    UNION ALL SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT 'function', proname, prosrc FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace
""")


def normal(sql: str) -> str:
    return re.sub(r"\s+", " ", sql.replace('"', "")).replace("( ", "(").replace(" )", ")").strip()


def test_the_migrations_make_what_the_models_say(empty: Database, second: Database) -> None:
    schema.create_all(empty)
    schema.upgrade(second)
    models = shape(empty)
    assert shape(second) == models
    assert ("trigger", "tasks_state_guard") in models
    indexes = [sql for (kind, _), sql in models.items() if kind == "index"]
    assert any(re.search(r"WHERE \(*state = 2", sql) for sql in indexes), indexes


def test_a_downgrade_removes_everything_and_an_upgrade_brings_it_back(empty: Database) -> None:
    schema.upgrade(empty)
    before = shape(empty)
    schema.downgrade(empty, "base")
    assert shape(empty) == {}
    schema.upgrade(empty)
    assert shape(empty) == before


def test_there_is_nothing_left_to_generate(empty: Database, tmp_path: Path) -> None:
    schema.upgrade(empty)
    written = schema.autogenerate(empty, "nothing", directory=tmp_path)
    body = written.read_text()
    assert body.count("    pass") == 2, body


def test_a_database_keeps_its_deployment_id(empty: Database) -> None:
    schema.upgrade(empty)
    schema.upgrade(empty)
    again = Database(empty.url.render_as_string(hide_password=False))
    assert again.deployment_id == empty.deployment_id
    again.close()


def test_numbers_go_on_and_deletions_are_remembered_when_the_log_is_laid_out_anew(
    empty: Database,
) -> None:
    schema.upgrade(empty)
    with empty.snapshot() as connection:
        begin = head(empty, connection)
    gone = _deleted(empty)
    for _ in range(2):
        schema.downgrade(empty, "0009")
        schema.upgrade(empty)
    reader = Reader(empty.url.render_as_string(hide_password=False))
    assert reader.was_deleted(gone, owner="dev")
    with pytest.raises(CursorExpired):
        reader.changes(begin, 10)
    begin = reader.change_head()
    made = submit(empty, new_task(empty.clock.now_us()))
    assert [change.task_id for change in reader.changes(begin, 10).changes] == [made.id]
    reader.close()


def _deleted(database: Database) -> bytes:
    """The id of a task that was there."""
    task_id = submit(database, new_task(database.clock.now_us())).id
    cancel(database, task_id)
    database.execute(ops.delete, ops.DeleteRequest(task_id, "dev"))
    return task_id


def test_payloads_are_carried_over_when_their_tables_are_laid_out_anew(empty: Database) -> None:
    schema.upgrade(empty)
    plan = follow_up(Condition.ON_SUCCESS)
    new = replace(new_task(empty.clock.now_us()), follow_ups=(plan,))
    ended = succeed(empty, running(empty, new), b"result")
    before = _full(empty, new.id)
    schema.downgrade(empty, "0010")
    schema.upgrade(empty)
    after = _full(empty, new.id)
    assert after == before
    assert ended is not None
    assert (after.input, after.result, len(after.follow_ups)) == (new.input, ended.result, 1)


def _full(database: Database, task_id: bytes) -> Task:
    reader = Reader(database.url.render_as_string(hide_password=False))
    found = reader.get([task_id], view=View.FULL)[task_id]
    reader.close()
    return found


def test_no_payload_is_part_of_the_tree_of_a_key() -> None:
    with_payloads = {
        table.name: table.dialect_options["sqlite"]["with_rowid"]
        for table in metadata.tables.values()
        if any(is_unlimited(column.type) for column in table.columns)
    }
    assert len(with_payloads) >= 3
    assert all(with_payloads.values()), with_payloads


_FORMER_CHANGE = sa.text("""
    INSERT INTO task_changes (number, task_id, owner, deleted, change_time)
    VALUES (:number, :id, 'dev', :deleted, 5)
""")


def test_a_log_of_the_former_layout_is_not_carried_over_and_its_deletions_are(
    empty: Database,
) -> None:
    schema.upgrade(empty)
    schema.downgrade(empty, "0009")
    counted = 9 if empty.is_sqlite else 0
    with empty.transaction() as tx:
        for number, task_id, deleted in ((8, b"a" * 16, 0), (9, b"b" * 16, 1)):
            tx.connection.execute(
                _FORMER_CHANGE,
                {"number": number, "id": task_id, "deleted": deleted},
            )
        tx.connection.execute(
            sa.text("UPDATE deployment SET change_number = :counted"), {"counted": counted}
        )
    schema.upgrade(empty)
    reader = Reader(empty.url.render_as_string(hide_password=False))
    assert reader.was_deleted(b"b" * 16, owner="dev")
    assert not reader.was_deleted(b"a" * 16, owner="dev")
    with pytest.raises(CursorExpired):
        reader.changes(Cursor("8" if empty.is_sqlite else "9:9:"), 10)
    begin = Cursor("9") if empty.is_sqlite else reader.change_head()
    made = submit(empty, new_task(empty.clock.now_us()))
    assert [change.task_id for change in reader.changes(begin, 10).changes] == [made.id]
    reader.close()


def test_two_upgrades_at_once_are_one(empty: Database, tmp_path: Path) -> None:
    env = environment(database_url=empty.url.render_as_string(hide_password=False))
    log = tmp_path / "output.log"
    both = [spawn([*COMMAND, "db", "upgrade"], env=env, log=log) for _ in range(2)]
    assert [each.wait(60) for each in both] == [0, 0], log.read_text()
    revision.check(empty)
    with empty.connect() as connection:
        assert len(connection.execute(sa.select(deployment)).all()) == 1


def test_a_database_without_tables_is_refused_in_one_line(empty: Database) -> None:
    with pytest.raises(ConfigurationError, match="run: taskwire db upgrade"):
        revision.check(empty)


def test_a_database_of_a_newer_taskwire_is_refused_in_one_line(empty: Database) -> None:
    schema.upgrade(empty)
    with empty.transaction() as tx:
        tx.connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match="newer taskwire"):
        revision.check(empty)


def test_a_database_in_a_folder_that_does_not_exist_is_refused_in_one_line(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigurationError, match="cannot reach the database") as caught:
        revision.check(Database(f"sqlite:///{tmp_path}/nowhere/taskwire.db"))
    assert "\n" not in str(caught.value)


@pytest.mark.servers
def test_a_database_that_cannot_hold_every_text_is_refused_in_one_line(
    postgres: PostgresServer,
) -> None:
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute(
            "CREATE DATABASE latin ENCODING LATIN1 LOCALE_PROVIDER libc LOCALE 'C'"
            " TEMPLATE template0"
        )
    database = Database(postgres.url("latin"))
    for use in (schema.upgrade, revision.check):
        with pytest.raises(ConfigurationError, match="LATIN1; create it with ENCODING 'UTF8'"):
            use(database)
    database.close()
    postgres.drop("latin")


@pytest.mark.parametrize(
    "url",
    [
        "mysql://localhost/x",
        "not a url",
        "sqlite://",
        "postgresql://user:secret@host",
        "postgresql+asyncpg://user:secret@host/x",
        "postgresql://user:secret@host:port/x",
    ],
)
def test_a_url_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="TASKWIRE_DATABASE_URL") as caught:
        Database(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_has_the_names_that_people_write(scheme: str) -> None:
    database = Database(f"{scheme}://user:secret@host/x?password=hidden")
    assert database.url.drivername == "postgresql+psycopg"
    assert database.place == "postgresql+psycopg://user:***@host/x"


def test_the_revision_that_services_need_is_that_of_the_newest_migration() -> None:
    assert schema.head() == revision.NEEDED, "set NEEDED in db/taskwire_db/revision.py"
