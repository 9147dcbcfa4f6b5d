"""Counts of tasks: from the counters where they know, and from rows, for a bounded time, else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from taskwire_core.filters import Cohort, Filter
from taskwire_core.lifecycle import State
from taskwire_core.listing import Counts, Group, Order
from taskwire_db.database import Database
from taskwire_db.filters import condition
from taskwire_db.group import AnyRow
from taskwire_db.lists import streams
from taskwire_db.lists.cohorts import Cohorts, cohorts_of
from taskwire_db.lists.plans import MOST_RANGES, rarest_labels
from taskwire_db.lists.spans import spans_of
from taskwire_db.lists.time_limit import time_limit
from taskwire_db.models import tasks

_ALL = 2**31 - 1

_COLUMNS: dict[Group, sa.Column[Any]] = {
    Group.STATE: tasks.c.state,
    Group.TYPE: tasks.c.type,
    Group.QUEUE: tasks.c.queue,
    Group.OWNER: tasks.c.owner,
}


def count_tasks(
    database: Database,
    connection: sa.Connection,
    owner: str,
    filter_: Filter,
    groups: Sequence[Group],
    within_s: float,
) -> Counts:
    """How many of `owner`'s tasks match, by the values of `groups`; those that have none, never.

    Raises:
        TooManyToCount: rows have to be looked at, and more than `within_s` is enough for.
    """
    cohorts = cohorts_of(connection, owner, filter_)
    counts: Counter[tuple[str, ...]] = Counter()
    for cohort, count in cohorts.matching.items():
        counts[tuple(_value(group, cohort) for group in groups)] += count
    if cohorts.undecided:
        with time_limit(database, connection, within_s):
            for row in _of_rows(connection, owner, filter_, groups, cohorts):
                counts[tuple(map(_shown, groups, row[:-1]))] += row[-1]
    return {values: count for values, count in sorted(counts.items()) if count}


def _of_rows(
    connection: sa.Connection,
    owner: str,
    filter_: Filter,
    groups: Sequence[Group],
    cohorts: Cohorts,
) -> Sequence[AnyRow]:
    """The count over the rows of the undecided cohorts."""
    columns = [_COLUMNS[group] for group in groups]
    found = sa.select(*columns, sa.func.count()).group_by(*columns)
    found = found.where(tasks.c.owner == owner, condition(filter_), _undecided(cohorts))
    stream = _stream(connection, filter_, cohorts)
    spans = spans_of(filter_)
    if stream is None:
        low, high = spans.ids()
        bounds = [tasks.c.id > low] if low else []
        bounds += [tasks.c.id < high] if high else []
        return connection.execute(found.where(*bounds).select_from(tasks)).all()
    # A task with two of the labels comes twice.
    few = sa.select(stream.select.subquery("all").c.id).distinct().subquery("few")
    found = found.join_from(few, tasks, tasks.c.id == few.c.id)
    return connection.execute(found, stream.after(None, spans, _ALL)).all()


def _stream(connection: sa.Connection, filter_: Filter, cohorts: Cohorts) -> streams.Stream | None:
    """The candidates, by an index; None when they are most of the table."""
    labels = rarest_labels(connection, filter_)
    looked_at = sum(cohorts.undecided.values())
    if labels is not None and labels.size < looked_at:
        return streams.of_labels(connection.dialect, labels.terms, Order.NEWEST)
    if looked_at > cohorts.total / 2 or len(cohorts.undecided) > MOST_RANGES:
        return None
    return streams.of_cohorts(connection.dialect, list(cohorts.undecided), Order.NEWEST)


def _undecided(cohorts: Cohorts) -> sa.ColumnElement[bool]:
    """The row is of none of the cohorts that the counters have counted."""
    counted: Mapping[Cohort, int] = cohorts.matching
    if not counted:
        return sa.true()
    keys = sa.tuple_(tasks.c.type, tasks.c.queue, tasks.c.state)
    return keys.not_in([(c.type, c.queue, int(c.state)) for c in counted])


def _value(group: Group, cohort: Cohort) -> str:
    value = getattr(cohort, group)
    return value.name if isinstance(value, State) else str(value)


def _shown(group: Group, value: Any) -> str:  # a column's value
    return State(value).name if group is Group.STATE else str(value)
