"""What only PostgreSQL has: its clock, lost answers, waits for locks, a server that goes away."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from taskwire_core import recovery
from taskwire_core.errors import OutcomeUnknown, StoreUnavailable
from taskwire_core.lifecycle import State
from taskwire_core.task import Task
from taskwire_db import commit, schema
from taskwire_db import operations as ops
from taskwire_db.advisory_lock import AdvisoryLock
from taskwire_db.clock import DatabaseClock
from taskwire_db.database import Database, Transaction
from taskwire_db.models import tasks
from taskwire_db.reader import Reader
from taskwire_db.writer import Writer
from tests.store.invariants import check_invariants
from tests.store.steps import SECOND, claim, new_task, running, submit, unit, worker
from tests.support.eventually import eventually
from tests.support.lost_answers import lose_the_answer
from tests.support.postgres import PostgresServer
from tests.support.stores import Stores


@pytest.fixture
def stores(postgresql_stores: Stores) -> Stores:
    return postgresql_stores


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database(url)
    yield opened
    opened.close()


@pytest.fixture
def other(url: str) -> Iterator[Database]:
    """Another process's view of the same database."""
    opened = Database(url)
    yield opened
    opened.close()


@pytest.fixture
def reader(url: str) -> Iterator[Reader]:
    opened = Reader(url)
    yield opened
    opened.close()


pytestmark = pytest.mark.servers


# Its clock.


def test_hosts_whose_clocks_differ_judge_a_lease_alike(
    database: Database, other: Database, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = submit(database, new_task())
    steady = worker(database)
    # Another host's clocks: the one that people see, and the one that counts from its start.
    monkeypatch.setattr(time, "time_ns", lambda: 4_000_000_000_000_000_000)
    monkeypatch.setattr(time, "clock_gettime_ns", lambda clock: 4_000_000_000_000_000_000)
    assert [alive.id for alive in reader.live_workers()] == [steady]
    assert claim(other, made.id, steady) is not None
    assert other.execute(ops.sweep_lost, ops.Sweep()) == []


def test_the_present_is_the_databases_also_where_nobody_asks_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    with database.transaction() as tx:
        told_us = tx.now_us
    assert abs(database.clock.now_us() - told_us) < 5 * SECOND


def test_a_transaction_has_one_time_however_long_it_takes(database: Database) -> None:
    with database.transaction() as tx:
        tx.connection.execute(sa.text("SELECT pg_sleep(0.05)"))
        (result,) = ops.submit(tx, [unit(new_task())])
        now_us = tx.now_us
    assert isinstance(result, ops.UnitResult)
    assert result.submitted[0].task.update_time_us == now_us


def test_the_lease_clock_goes_on_when_the_server_is_started_anew() -> None:
    assert DatabaseClock.BOOT == DatabaseClock().BOOT


# What happens to a commit.


def test_a_submission_whose_answer_was_lost_was_made(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_the_answer(database, monkeypatch, committed=True)
    try:
        made = submit(database, new_task())
    except StoreUnavailable:
        pytest.fail("what was committed was refused")
    check_invariants(database, [made.id])


def test_a_claim_whose_answer_was_lost_is_the_workers(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = submit(database, new_task())
    mine = worker(database)
    lose_the_answer(database, monkeypatch, committed=True)
    found = claim(database, made.id, mine)
    assert found is not None
    assert found.state == State.RUNNING


def test_a_claim_beside_a_hand_back_is_looked_up_although_no_counter_has_changed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, wanted = running(database), submit(database, new_task())
    assert held.worker_id is not None
    request = ops.ClaimRequest(wanted.id, held.worker_id)

    def work(tx: Transaction) -> Task | None:
        ops.settle(tx, [recovery.handed_back(held, "no thread became free")])
        return ops.claim(tx, [request])[0]

    lose_the_answer(database, monkeypatch, committed=True)
    claimed = database.write(work)
    assert claimed is not None
    assert claimed.state == State.RUNNING


def test_a_commit_that_was_not_done_wrote_nothing(
    database: Database, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_the_answer(database, monkeypatch, committed=False)
    with pytest.raises(StoreUnavailable, match="closed the connection") as caught:
        submit(database, new_task())
    assert not isinstance(caught.value, OutcomeUnknown)
    assert reader.counts() == {}


def test_a_commit_of_which_nothing_can_be_learnt_is_said_to_be_unknown(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_the_answer(database, monkeypatch, committed=True)
    monkeypatch.setattr(commit, "PATIENCE_S", 0.0)
    monkeypatch.setattr(commit, "_status", lambda engine, number: None)
    with pytest.raises(StoreUnavailable) as caught:
        submit(database, new_task())
    assert isinstance(caught.value, OutcomeUnknown)


def test_a_server_that_never_heard_of_the_transaction_has_not_committed_it(
    database: Database,
) -> None:
    assert not commit.was_committed(database.engine, "1000000000")


# Other transactions in the way.


def test_a_deadlock_is_resolved_and_both_transactions_are_committed(
    database: Database, other: Database
) -> None:
    first, second = (submit(database, new_task()).id for _ in range(2))
    meet = threading.Barrier(2)

    def touch_both(mine: Database, order: Sequence[bytes]) -> int:
        tries = 0

        def work(tx: Transaction) -> int:
            nonlocal tries
            tries += 1
            for number, key in enumerate(order):
                statement = sa.update(tasks).where(tasks.c.id == key)
                tx.connection.execute(statement.values(dispatch=tasks.c.dispatch + 1))
                if tries == 1 and number == 0:
                    meet.wait(10)
            return tries

        return mine.write(work)

    with ThreadPoolExecutor(2) as threads:
        both = [
            threads.submit(touch_both, database, [first, second]),
            threads.submit(touch_both, other, [second, first]),
        ]
    assert [each.exception() for each in both] == [None, None]
    assert sorted(each.result() for each in both) == [1, 2]
    with database.connect() as connection:
        numbers = connection.execute(sa.select(tasks.c.dispatch)).scalars().all()
    assert list(numbers) == [3, 3]


def test_a_row_that_is_locked_for_too_long_answers_unavailable(
    database: Database, other: Database
) -> None:
    made = submit(database, new_task())
    mine = worker(database)

    def impatient(tx: Transaction, items: Sequence[ops.ClaimRequest]) -> list[Any]:
        tx.connection.execute(sa.text("SET LOCAL lock_timeout = '50ms'"))
        return list(ops.claim(tx, items))

    with other.transaction() as tx:
        tx.connection.execute(sa.select(tasks.c.id).with_for_update())
        with pytest.raises(StoreUnavailable, match="lock timeout"):
            database.execute(impatient, ops.ClaimRequest(made.id, mine))
    assert claim(database, made.id, mine) is not None


def test_every_session_has_limits(database: Database) -> None:
    with database.connect() as connection:
        limits = {
            name: connection.execute(sa.text(f"SHOW {name}")).scalar_one()
            for name in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
        }
    assert limits == {
        "lock_timeout": "3s",
        "statement_timeout": "30s",
        "idle_in_transaction_session_timeout": "15s",
    }


def test_a_reader_cannot_write(url: str) -> None:
    reading = Database(url, writable=False)
    with pytest.raises(StoreUnavailable, match="read-only"):
        submit(reading, new_task())
    reading.close()


# A server that goes away.


def break_connections(url: str) -> None:
    """What a restart of the server, or an operator, does to connections that are not in use."""
    plain = url.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_connections_that_broke_while_idle_are_replaced(
    database: Database, reader: Reader, url: str
) -> None:
    made = submit(database, new_task())
    reader.get([made.id])
    break_connections(url)
    assert claim(database, made.id, worker(database)) is not None
    assert reader.get([made.id])[made.id].state == State.RUNNING


def test_a_server_that_crashes_costs_answers_and_no_task(
    killable_postgres: PostgresServer,
) -> None:
    url = killable_postgres.url(killable_postgres.create())
    database = Database(url)
    schema.upgrade(database)
    writer = Writer(database)
    kept = [writer.run(ops.submit, unit(new_task())).result(30) for _ in range(10)]
    killable_postgres.crash()
    with pytest.raises(StoreUnavailable):
        writer.run(ops.submit, unit(new_task())).result(30)
    killable_postgres.start()
    kept.append(writer.run(ops.submit, unit(new_task())).result(30))
    writer.close()
    check_invariants(database, [result.submitted[0].task.id for result in kept])
    database.close()


# The keeper's lock.


def test_one_process_holds_an_advisory_lock_until_it_releases_it(
    database: Database, other: Database
) -> None:
    ours, theirs = (AdvisoryLock(each, "keeper", silence_s=60) for each in (database, other))
    assert ours.hold()
    assert not theirs.hold()
    assert ours.hold()
    ours.release()
    assert theirs.hold()
    assert not ours.hold()
    theirs.release()
    ours.release()


def test_a_lock_is_lost_with_its_connection_and_another_process_takes_it(
    database: Database, other: Database, url: str
) -> None:
    ours, theirs = (AdvisoryLock(each, "keeper", silence_s=60) for each in (database, other))
    assert ours.hold()
    break_connections(url)
    eventually(theirs.hold)
    with pytest.raises(StoreUnavailable):
        ours.hold()
    assert not ours.hold()
    theirs.release()
    assert ours.hold()
    ours.release()


def test_a_holder_that_says_nothing_any_more_loses_the_lock(
    database: Database, other: Database
) -> None:
    silent = AdvisoryLock(database, "keeper", silence_s=0.2)
    patient = AdvisoryLock(other, "keeper", silence_s=60)
    assert silent.hold()
    eventually(patient.hold)
    with pytest.raises(StoreUnavailable):
        silent.hold()
    patient.release()
    silent.release()


# Its rows.


def test_the_counters_of_several_processes_are_added_up(
    database: Database, other: Database, reader: Reader
) -> None:
    database.shard, other.shard = 1, 2
    task = running(database)
    submit(other, new_task())
    other.execute(ops.expire_worker, task.worker_id or b"")
    other.execute(ops.sweep_lost, ops.Sweep())
    counts = {key[3]: count for key, count in reader.counts().items()}
    assert counts == {State.QUEUED: 1, State.RETRYING: 1}


def test_payloads_that_are_too_much_for_one_array_are_written_in_parts(
    database: Database, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskwire_db.group.MAX_ARRAY_BYTES", 1000)
    contents = [b"x" * size for size in (10, 2000, 990, 500, 600, 0)]
    made = database.execute(ops.submit, unit(*[new_task(content=c) for c in contents]))
    found = [claim(database, s.task.id, worker(database)) for s in made.submitted]
    assert [task.input.data for task in found if task and task.input] == contents


@pytest.mark.parametrize(
    ("operation", "index"),
    [
        (ops.sweep_due, "ix_tasks_due"),
        (ops.sweep_lost, "ix_tasks_held"),
        (ops.sweep_deadlines, "ix_tasks_start_deadline"),
        (ops.sweep_deadlines, "ix_tasks_total_deadline"),
    ],
)
def test_a_sweep_looks_into_its_index_and_not_at_all_tasks(
    database: Database, operation: Any, index: str
) -> None:
    assert index in plans_of(database, lambda tx: operation(tx, [ops.Sweep()]))


def test_the_backlog_is_taken_in_the_order_of_its_index(database: Database) -> None:
    wish = ops.Backlog("images", ("acme.v1.Images/Shrink",), 10, b"gateway")
    assert "ix_tasks_backlog" in plans_of(database, lambda tx: ops.take_backlog(tx, [wish]))


def test_the_rows_of_a_gateway_are_found_by_their_index(database: Database) -> None:
    work = plans_of(database, lambda tx: ops.release_gateway(tx, [b"gateway"]))
    assert "ix_tasks_unpublished" in work


def test_stranded_rows_are_found_by_their_index(database: Database) -> None:
    lost = ops.Stranded("images", 1)
    assert "ix_tasks_dispatched" in plans_of(database, lambda tx: ops.sweep_stranded(tx, [lost]))


def test_a_group_is_looked_up_by_the_primary_key(database: Database) -> None:
    # More of them would be worth a scan of so small a table.
    some = [ops.ClaimRequest(bytes([n]) * 16, b"worker") for n in range(20)]
    assert "tasks_pkey" in plans_of(database, lambda tx: ops.claim(tx, some))


# A third has ended; a sixth each is scheduled for later, with the broker, with a gateway, or runs.
POPULATE = """
    UPDATE tasks SET version = version + 1, not_before = not_before + 1e12::bigint,
      state = (ARRAY[8, 8, 1, 2, 2, 3])[kind], worker_id = CASE kind WHEN 6 THEN :worker END,
      start_deadline = 9e15::bigint, total_deadline = 9e15::bigint, run_expires = 9e15::bigint,
      dispatched_at = CASE kind WHEN 4 THEN 9e15::bigint END,
      gateway_id = CASE kind WHEN 5 THEN :worker END
    FROM (SELECT id AS key, 1 + row_number() OVER () % 6 AS kind FROM tasks) AS k WHERE key = id
"""


def plans_of(database: Database, work: Any) -> str:
    """The plans of the statements that `work` runs among many tasks that it does not concern."""
    alive = worker(database, ttl_us=None)
    with database.transaction() as tx:
        ops.submit(tx, [unit(*[new_task(tx.now_us) for _ in range(6000)])])
        tx.connection.execute(sa.text(POPULATE), {"worker": alive})
    with database.engine.connect() as connection:
        connection.execute(sa.text("ANALYZE"))
        connection.commit()
    texts: list[str] = []
    with database.transaction() as tx:
        tx.connection.execute(sa.text("LOAD 'auto_explain'"))
        tx.connection.execute(sa.text("SET LOCAL auto_explain.log_min_duration = 0"))
        tx.connection.execute(sa.text("SET LOCAL client_min_messages = log"))
        raw: Any = tx.connection.connection.dbapi_connection
        raw.add_notice_handler(lambda notice: texts.append(notice.message_primary))
        work(tx)
    plans = "\n".join(texts)
    assert "Seq Scan on tasks" not in plans, plans
    return plans
