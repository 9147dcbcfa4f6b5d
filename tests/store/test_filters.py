"""SQL and the evaluator say the same of every task, whatever the filter."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from taskwire_core.failure import Code, Failure, FailureKind
from taskwire_core.filters import Cohort, decide, matches
from taskwire_core.filters.parsing import parse
from taskwire_core.lifecycle import State
from taskwire_core.task import Task
from taskwire_db.database import Database
from taskwire_db.filters import condition
from taskwire_db.models import tasks
from tests.store.population import ERROR_TYPES, LABELS, OWNERS, QUEUES, TYPES, insert, random_task
from tests.store.steps import SECOND, START_US

NAMES = [*TYPES, "acme.images", "acme", "acme.images.v1.Images", "acme.im", "%", "acme_images"]
ODD = ["", "'", '"', "\\", "%", "_", "é", "🦉", "x' OR 1=1 --"]


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def names(field: str, values: list[str], *, dotted: bool = False) -> st.SearchStrategy[str]:
    operators = ["=", "!=", ":"] if dotted else ["=", "!="]
    some = st.sampled_from([value for value in values if value or not dotted])
    return st.builds(
        "{} {} {}".format, st.just(field), st.sampled_from(operators), some.map(quoted)
    )


def ordered(field: str, values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
    return st.builds("{} {} {}".format, st.just(field), operators, values)


times = st.integers(-1, 121).map(
    lambda second: datetime.fromtimestamp(START_US / SECOND + second, UTC).isoformat()
)
terms = st.one_of(
    names("state", [state.name for state in State]),
    names("error.kind", [kind.name for kind in FailureKind]),
    names("type", NAMES, dotted=True),
    names("queue", QUEUES + ODD),
    names("owner", OWNERS + ODD),
    names("error.type", ERROR_TYPES + NAMES, dotted=True),
    names("error.type", ERROR_TYPES),
    *(names(f"labels.{key}", values + ODD) for key, values in LABELS.items()),
    ordered("attempt", st.integers(-1, 6).map(str)),
    *(ordered(field, times) for field in ("create_time", "update_time", "end_time")),
    st.sampled_from(["end_time:*", "error.type:*", "error.kind:*", "labels.customer:*"]),
)
filters = st.recursive(
    terms,
    lambda inner: st.one_of(
        inner.map("NOT ({})".format),
        st.builds("({}) AND ({})".format, inner, inner),
        st.builds("({}) OR ({})".format, inner, inner),
        st.builds("({} OR {} AND NOT {})".format, terms, terms, terms),
    ),
    max_leaves=4,
)


@pytest.fixture
def population(database: Database) -> list[Task]:
    chance = random.Random(4)
    found = [random_task(chance, number) for number in range(300)]
    insert(database, found)
    return found


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=filters)
@example(text="")
@example(text="labels.customer != acme AND labels.customer:*")
@example(text="NOT (error.type = acme.io OR end_time < 2030-01-01T00:00:00Z)")
def test_sql_and_the_evaluator_agree(text: str, database: Database, population: list[Task]) -> None:
    wanted = parse(text)
    with database.connect() as connection:
        rows = connection.execute(sa.select(tasks.c.id).where(condition(wanted)))
        by_sql = {bytes(row[0]) for row in rows}
    by_evaluator = {task.id for task in population if matches(task, wanted)}
    assert by_sql == by_evaluator
    for task in population:
        decided = decide(Cohort(task.type, task.queue, task.owner, task.state), wanted)
        assert decided in (None, task.id in by_sql)


@pytest.mark.parametrize("message", ["a\0b", r"a\u0000b", "\\\0"])
def test_a_failure_whose_text_has_a_nul_is_found_like_any_other(
    message: str, database: Database
) -> None:
    task = random_task(random.Random(4), 1)
    failure = Failure(FailureKind.APPLICATION, Code.UNKNOWN, "R", message, type="acme.io.Gone")
    insert(database, [replace(task, state=State.FAILED, failure=failure)])
    for text in ("error.type = acme.io.Gone", "error.kind = APPLICATION"):
        with database.connect() as connection:
            found = connection.execute(sa.select(tasks.c.id).where(condition(parse(text)))).all()
        assert [bytes(row[0]) for row in found] == [task.id]


def test_values_are_binds_and_states_literals() -> None:
    wanted = parse('queue = "x\'; DROP TABLE tasks" AND labels.a = bb AND state = FAILED')
    text = str(condition(wanted))
    assert "DROP" not in text
    assert "bb" not in text
    assert "tasks.state = 7" in text
