"""Streams of candidates: the ids of tasks that may match, in a list's order, from one index.

A stream reads some ranges of an index, each of which is in the order of ids, and merges them.
Its statement is made once for each number of ranges. SQLite merges the ranges as they are read;
PostgreSQL would sort the whole of them instead, so that there each range is cut to the limit
before they are put in order.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from taskwire_core.filters import Cohort, Term
from taskwire_core.listing import Order, Place
from taskwire_db.lists.spans import Spans
from taskwire_db.models import Id, Micros, task_labels, tasks

_low = sa.bindparam("low", type_=Id)
_high = sa.bindparam("high", type_=Id)
_limit: Any = sa.bindparam("limit", type_=sa.Integer())
_FIRST, _LAST = b"", b"\xff" * 17
"""Less and greater than every id."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Candidates by their ids. `select` has the parameters low, high and limit besides `binds`."""

    select: Any
    binds: Mapping[str, object]
    order: Order

    def after(self, place: Place | None, spans: Spans, limit: int) -> dict[str, object]:
        """The parameters for the next `limit` candidates after `place`."""
        low, high = spans.ids()
        low, high = low or _FIRST, high or _LAST
        if place is not None and self.order is Order.OLDEST:
            low = max(low, place.id)
        elif place is not None:
            high = min(high, place.id)
        return {**self.binds, "low": low, "high": high, "limit": limit}


@dataclass(frozen=True, slots=True)
class Changes:
    """All tasks of a user, the last changed first, by ix_tasks_updated."""

    owner: str

    @property
    def select(self) -> Any:
        """Ids and times, with the parameters that `after` gives."""
        return _changes

    def after(self, place: Place | None, spans: Spans, limit: int) -> dict[str, object]:
        """The parameters for the next `limit` candidates after `place`."""
        since, until = spans.changed
        before = Place(_FIRST, 2**62 if until is None else until + 1)
        if place is not None and place.update_time_us < before.update_time_us:
            before = place
        return {
            "owner": self.owner,
            "since": 0 if since is None else since,
            "before_time": before.update_time_us,
            "before_id": before.id,
            "limit": limit,
        }


@dataclass(frozen=True, slots=True)
class _Index:
    """An index whose ranges are in the order of ids: the columns before the id, and the id."""

    keys: tuple[sa.Column[Any], ...]
    id: sa.Column[bytes]


_BY_ID = _Index((), tasks.c.id)
_BY_COHORT = _Index((tasks.c.owner, tasks.c.type, tasks.c.queue, tasks.c.state), tasks.c.id)
_BY_LABEL = _Index((task_labels.c.label, task_labels.c.value), task_labels.c.task_id)


def everything(order: Order) -> Stream:
    """All tasks of all users."""
    return Stream(_one_range(_BY_ID, order is Order.OLDEST), {}, order)


def of_cohorts(dialect: sa.Dialect, cohorts: Sequence[Cohort], order: Order) -> Stream:
    """The tasks of these cohorts, by ix_tasks_cohort."""
    ranges = [(c.owner, c.type, c.queue, int(c.state)) for c in cohorts]
    return _ranged(dialect, _BY_COHORT, ranges, order)


def of_labels(dialect: sa.Dialect, labels: Sequence[Term], order: Order) -> Stream:
    """The tasks of all users that have one of these labels; a task with two comes twice."""
    return _ranged(dialect, _BY_LABEL, [(term.label, term.value) for term in labels], order)


def _ranged(
    dialect: sa.Dialect, index: _Index, ranges: Sequence[tuple[object, ...]], order: Order
) -> Stream:
    names = [key.name for key in index.keys]
    oldest_first = order is Order.OLDEST
    if dialect.name == "postgresql":
        arrays = zip(names, zip(*ranges, strict=True), strict=True)
        binds = {f"range_{name}": list(values) for name, values in arrays}
        return Stream(_cut(index, oldest_first), binds, order)
    # Ranges of NULL, which are empty, pad them to a power of two: so there are few texts.
    size = 1 << (len(ranges) - 1).bit_length()
    padded = [*ranges, *[(None,) * len(names)] * (size - len(ranges))]
    numbered = enumerate(zip(names, r, strict=True) for r in padded)
    numbered_binds = {f"range_{n}_{i}": value for i, pairs in numbered for n, value in pairs}
    return Stream(_merged(index, size, oldest_first), numbered_binds, order)


@functools.cache
def _merged(index: _Index, size: int, oldest_first: bool) -> Any:
    if size == 1:
        return _one_range(index, oldest_first, "_0")
    arms = [_range(index, f"_{number}") for number in range(size)]
    merged: Any = sa.union_all(*arms)
    return merged.order_by(_directed(merged.selected_columns.id, oldest_first)).limit(_limit)


@functools.cache
def _one_range(index: _Index, oldest_first: bool, suffix: str = "") -> Any:
    return _range(index, suffix).order_by(_directed(index.id, oldest_first)).limit(_limit)


def _range(index: _Index, suffix: str) -> Any:
    keys = [k == sa.bindparam(f"range_{k.name}{suffix}", type_=k.type) for k in index.keys]
    return sa.select(index.id.label("id")).where(*keys, index.id > _low, index.id < _high)


@functools.cache
def _cut(index: _Index, oldest_first: bool) -> Any:
    arrays = [sa.bindparam(f"range_{k.name}", type_=postgresql.ARRAY(k.type)) for k in index.keys]
    ranges = (
        sa.func.unnest(*arrays).table_valued(*(k.name for k in index.keys)).render_derived("ranges")
    )
    here = [k == ranges.c[k.name] for k in index.keys]
    cut = (
        sa.select(index.id.label("id"))
        .where(*here, index.id > _low, index.id < _high)
        .order_by(_directed(index.id, oldest_first))
        .limit(_limit)
        .lateral("cut")
    )
    joined = ranges.join(cut, sa.true())
    found = sa.select(cut.c.id).select_from(joined)
    return found.order_by(_directed(cut.c.id, oldest_first)).limit(_limit)


def _directed(column: Any, oldest_first: bool) -> Any:
    return column.asc() if oldest_first else column.desc()


_changes = (
    sa.select(tasks.c.id.label("id"), tasks.c.update_time.label("update_time"))
    .where(
        tasks.c.owner == sa.bindparam("owner"),
        tasks.c.update_time >= sa.bindparam("since", type_=Micros),
        sa.tuple_(tasks.c.update_time, tasks.c.id)
        < sa.tuple_(sa.bindparam("before_time", type_=Micros), sa.bindparam("before_id", type_=Id)),
    )
    .order_by(tasks.c.update_time.desc(), tasks.c.id.desc())
    .limit(_limit)
)
