"""Which index each kind of list is read by: as planned here, and as the databases explain it."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from taskwire_core.filters.parsing import parse
from taskwire_core.lifecycle import State
from taskwire_core.listing import Listing, Order
from taskwire_core.task import View
from taskwire_db.database import Database
from taskwire_db.lists import plans
from taskwire_db.lists.list_reader import ListReader
from taskwire_db.lists.pages import statement_of
from taskwire_db.lists.plans import Plan, plan_of
from taskwire_db.lists.streams import Changes, Stream
from tests.store.population import TYPES, insert, random_task
from tests.store.steps import ManualClock

MANY = 3_000


@pytest.fixture
def reading(url: str, clock: ManualClock, database: Database) -> Iterator[Database]:
    """A database with tasks of two users and with statistics, as a gateway's lists read it."""
    chance = random.Random(3)
    tasks = [random_task(chance, number) for number in range(MANY)]
    # One in a hundred has failed, and few have the first type; most are ann's.
    tasks = [
        replace(
            task,
            owner="bob" if number % 10 == 0 else "ann",
            state=State.FAILED if number % 100 == 1 else State.SUCCEEDED,
            type=TYPES[0] if number % 500 == 1 else TYPES[1],
            labels={"customer": f"c{number % 200}", "env": "prod"},
            end_time_us=task.update_time_us,
        )
        for number, task in enumerate(tasks)
    ]
    insert(database, tasks)
    with database.engine.connect() as connection:
        connection.execute(sa.text("ANALYZE"))
        connection.commit()
    reader = ListReader(url, clock=clock)
    yield reader.database
    reader.close()


def listing(text: str, order: Order = Order.NEWEST) -> Listing:
    return Listing("ann", parse(text), order, 50, View.BASIC, 4_000_000)


def explained(connection: sa.Connection, wish: Listing, plan: Plan) -> str:
    """What the database says of the statement that reads the first page."""
    statement, parameters = statement_of(wish, plan, None, 51)
    # The explanation of exactly what is run: binds are binds.
    prefix = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
    compiled: Any = statement.compile(
        dialect=connection.dialect, compile_kwargs={"render_postcompile": True}
    )
    values = compiled.construct_params(parameters)
    bound = tuple(values[n] for n in compiled.positiontup) if compiled.positiontup else values
    rows = connection.exec_driver_sql(f"{prefix} {compiled}", bound)
    return "\n".join(str(row[-1]) for row in rows)


PRIMARY_KEYS = {
    "sqlite": {
        "tasks": "SEARCH tasks USING PRIMARY KEY",
        "task_labels": "SEARCH task_labels USING PRIMARY KEY (label=? AND value=?",
    },
    "postgresql": {"tasks": "tasks_pkey", "task_labels": "task_labels_pkey"},
}


@pytest.mark.parametrize("order", [Order.NEWEST, Order.OLDEST])
@pytest.mark.parametrize(
    ("text", "index", "exact"),
    [
        ("state = FAILED", "ix_tasks_cohort", True),
        ("state = SUCCEEDED", "ix_tasks_cohort", True),
        (f'type = "{TYPES[0]}"', "ix_tasks_cohort", True),
        ("type:acme.images", "ix_tasks_cohort", True),
        ("queue = images", "ix_tasks_cohort", True),
        (f'state = FAILED AND type = "{TYPES[1]}"', "ix_tasks_cohort", True),
        (f'state = FAILED OR type = "{TYPES[0]}"', "ix_tasks_cohort", True),
        ("NOT state = SUCCEEDED", "ix_tasks_cohort", True),
        ("labels.customer = c7", "task_labels", False),
        ("labels.customer = c7 OR labels.customer = c8", "task_labels", False),
        ("labels.customer = c7 AND labels.env = prod", "task_labels", False),
        ("state = SUCCEEDED AND labels.customer = c7", "task_labels", False),
        # The failed ones are fewer, and their labels are looked up.
        ("state = FAILED AND labels.env = prod", "ix_tasks_cohort", False),
        (f'state = FAILED AND type = "{TYPES[1]}" AND labels.env = prod', "ix_tasks_cohort", False),
    ],
)
def test_a_list_is_read_by_the_index_that_leads_to_few(
    reading: Database, text: str, index: str, exact: bool, order: Order
) -> None:
    wish = listing(text, order)
    with reading.snapshot() as connection:
        plan = plan_of(connection, wish)
        assert plan is not None
        assert isinstance(plan.stream, Stream)
        assert plan.is_exact is exact
        assert not plan.sort
        found = explained(connection, wish, plan)
    expected = PRIMARY_KEYS[connection.dialect.name].get(index, index)
    assert expected in found
    # Nothing is read whole: neither the table, nor an index of it.
    assert "SCAN tasks" not in found
    assert "SCAN task_labels" not in found
    assert "Seq Scan on task" not in found


def test_all_tasks_of_the_only_user_are_read_by_their_ids(reading: Database) -> None:
    # Given that the counters say that ann has all tasks
    wish = dataclasses.replace(listing(""), owner="ann")
    with reading.snapshot() as connection, pytest.MonkeyPatch.context() as patch:
        patch.setattr(plans, "is_alone", lambda *_: True)
        plan = plan_of(connection, wish)
        assert plan is not None
        found = explained(connection, wish, plan)
    assert PRIMARY_KEYS[connection.dialect.name]["tasks"] in found


@pytest.mark.parametrize("text", ["", "state = SUCCEEDED", "labels.env = prod", "attempt > 1"])
def test_the_last_changed_are_read_in_the_order_of_changes(
    reading: Database, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "MOST_SORTED", 500)
    wish = listing(text, Order.CHANGED)
    with reading.snapshot() as connection:
        plan = plan_of(connection, wish)
        assert plan is not None
        assert isinstance(plan.stream, Changes)
        found = explained(connection, wish, plan)
    assert "ix_tasks_updated" in found


@pytest.mark.parametrize(
    ("text", "index"),
    [("state = FAILED", "ix_tasks_cohort"), ("labels.customer = c7", "task_labels")],
)
def test_few_tasks_are_sorted_by_their_changes(reading: Database, text: str, index: str) -> None:
    wish = listing(text, Order.CHANGED)
    with reading.snapshot() as connection:
        plan = plan_of(connection, wish)
        assert plan is not None
        assert plan.sort
        found = explained(connection, wish, plan)
    assert PRIMARY_KEYS[connection.dialect.name].get(index, index) in found
    assert "ix_tasks_updated" not in found
