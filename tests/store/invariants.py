"""What must hold of a database whatever has happened to it; numbered as in the design's model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from taskwire_core.lifecycle import Event, State, allowed
from taskwire_db.database import Database
from taskwire_db.models import task_counters, task_events, task_outcomes, tasks

Rows = Sequence[sa.Row[*tuple[Any, ...]]]


def check_invariants(
    database: Database, acknowledged: Collection[bytes] = ()
) -> Mapping[bytes, sa.Row[*tuple[Any, ...]]]:
    """The rows of all tasks, by id, after everything about them was found to be right."""
    with database.engine.connect() as connection:
        return check_what_is_seen(connection, acknowledged)


def check_what_is_seen(
    connection: sa.Connection, acknowledged: Collection[bytes] = ()
) -> Mapping[bytes, sa.Row[*tuple[Any, ...]]]:
    """The same of what `connection` sees, which may be a transaction that is not committed."""
    rows = connection.execute(sa.select(tasks)).all()
    events = connection.execute(
        sa.select(task_events).order_by(task_events.c.task_id, task_events.c.version)
    ).all()
    outcomes = connection.execute(sa.select(task_outcomes)).all()
    counters = connection.execute(sa.select(task_counters)).all()
    found = {bytes(row.id): row for row in rows}
    assert set(acknowledged) <= found.keys(), "I1: an acknowledged task is gone"
    _check_histories(found, events)
    _check_outcomes(found, {bytes(row.task_id): row for row in outcomes})
    _check_counters(rows, counters)
    return found


def _check_histories(found: Mapping[bytes, Any], events: Rows) -> None:
    last: dict[bytes, tuple[int, State | None]] = dict.fromkeys(found, (0, None))
    begun: Counter[tuple[bytes, int]] = Counter()
    for event in events:
        key = bytes(event.task_id)
        version, state = last[key]
        assert event.version == version + 1, "I3: the versions have a gap"
        assert state is None or not state.terminal, "I4: something follows the end"
        assert allowed(state, State(event.state)), f"I3: {state!r} to {event.state}"
        last[key] = (event.version, State(event.state))
        begun[key, event.attempt] += int(event.event == Event.CLAIM)
    assert max(begun.values(), default=0) <= 1, "I6: an attempt began twice"
    for key, row in found.items():
        assert last[key] == (row.version, row.state), "I3: the history ends elsewhere"


def _check_outcomes(found: Mapping[bytes, Any], outcomes: Mapping[bytes, Any]) -> None:
    for key, row in found.items():
        outcome = outcomes.get(key)
        if row.state == State.SUCCEEDED:
            assert outcome is not None, "I5: a success without a result"
            assert outcome.data is not None, "I5: a success without a result"
        elif row.state == State.FAILED:
            assert outcome is not None, "I5: a failure without an error"
            assert outcome.failure is not None, "I5: a failure without an error"
        else:
            assert outcome is None, "I5: an outcome without an end"


def _check_counters(rows: Rows, counters: Rows) -> None:
    counted: Counter[tuple[str, str, str, int]] = Counter()
    for row in counters:
        # By position: a row is a tuple, whose `count` is a method.
        counted[row.type, row.queue, row.owner, row.state] += row[-1]
    there = Counter((row.type, row.queue, row.owner, row.state) for row in rows)
    assert {k: v for k, v in counted.items() if v} == dict(there), "I15: the counters are wrong"
