"""The worker's ledger over a PostgreSQL that loses answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from taskwire_core.errors import OutcomeUnknown
from taskwire_core.lifecycle import State
from taskwire_core.task import Dispatch, Task
from taskwire_db import commit
from taskwire_db.database import Database
from taskwire_db.writer import Writer
from taskwire_worker.store_ledger import StoreLedger
from tests.store.invariants import check_invariants
from tests.store.steps import new_task, submit, worker
from tests.support.eventually import eventually
from tests.support.lost_answers import lose_the_answer
from tests.support.stores import Stores

pytestmark = pytest.mark.servers


@pytest.fixture
def database(postgresql_stores: Stores) -> Iterator[Database]:
    with postgresql_stores.migrated() as url:
        opened = Database(url)
        yield opened
        opened.close()


@pytest.fixture
def ledger(database: Database) -> Iterator[StoreLedger]:
    writer = Writer(database)
    yield StoreLedger(writer, worker(database))
    writer.close()


def queued(database: Database) -> Dispatch:
    made = submit(database, new_task(database.clock.now_us()))
    return Dispatch(made.id, made.type, made.queue, made.dispatch)


def lose_a_claim(
    ledger: StoreLedger, database: Database, dispatch: Dispatch, patch: pytest.MonkeyPatch
) -> None:
    """A claim that is committed, and of which the worker never learns."""
    with patch.context() as silent:
        silent.setattr(commit, "PATIENCE_S", 0.0)
        silent.setattr(commit, "_status", lambda engine, number: None)
        lose_the_answer(database, silent, committed=True)
        with pytest.raises(OutcomeUnknown):
            ledger.claim([dispatch])


def task_of(database: Database, dispatch: Dispatch) -> State:
    return State(check_invariants(database)[dispatch.task_id].state)


def test_a_claim_that_was_not_heard_of_is_claimed_again_by_the_same_delivery(
    ledger: StoreLedger, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskwire_worker.store_ledger._RETRY_S", 60)
    dispatch = queued(database)
    lose_a_claim(ledger, database, dispatch, monkeypatch)
    (task,) = ledger.claim([dispatch])
    assert (task.attempt, task.handed_back) == (2, 1)
    assert task_of(database, dispatch) == State.RUNNING


def test_a_claim_that_was_not_heard_of_is_given_back_though_nothing_more_comes(
    ledger: StoreLedger, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatch = queued(database)
    lose_a_claim(ledger, database, dispatch, monkeypatch)
    eventually(lambda: task_of(database, dispatch) == State.QUEUED)


def test_what_was_claimed_before_an_answer_was_lost_goes_on(
    ledger: StoreLedger, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskwire_worker.store_ledger._RETRY_S", 60)
    ours: list[Task] = [*ledger.claim([queued(database)])]
    lost = queued(database)
    lose_a_claim(ledger, database, lost, monkeypatch)
    ours += ledger.claim([lost])
    rows = check_invariants(database)
    assert {(t.id, t.attempt) for t in ours} == {(key, row.attempt) for key, row in rows.items()}
    assert {row.state for row in rows.values()} == {State.RUNNING}
