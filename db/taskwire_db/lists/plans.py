"""Which index leads to the matches of a filter, and what is still to be checked of each candidate.

The counters say exactly how many tasks each cohort has, and a bounded look at a label how many
have it. Of a filter that asks for both, the cheaper one is read: it may have to be read to its
end, or until a page is full, whichever comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from taskwire_core.filters import And, Field, Filter, Not, Operator, Or, Term, conjuncts, decide
from taskwire_core.listing import Listing, Order
from taskwire_db.lists import streams
from taskwire_db.lists.cohorts import Cohorts, cohorts_of, is_alone
from taskwire_db.models import task_labels

MOST_ROWS = 500
MOST_ENTRIES = 500
"""How many candidates a page looks at before it ends, full or not: when their rows have to be
read, and when entries of indexes are enough. docs/performance.md has what they cost."""

MOST_COUNTED = 10_000
"""How many tasks of a label are counted to find out which index is the shorter way."""

MOST_SORTED = 8_000
"""How many candidates are put into the order of changes; more are looked for in that order."""

ROW_COST = 4
"""What a row costs that has to be read, in entries of an index."""

MOST_RANGES = 256
"""SQLite merges 500 at most. Beyond this all tasks are looked through instead."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a list is read: the candidates; what is to be checked of them, None when nothing is;
    whether they may be of other users; and whether they are few and still have to be sorted."""

    stream: streams.Stream | streams.Changes
    check: Filter | None = None
    check_owner: bool = False
    sort: bool = False

    @property
    def is_exact(self) -> bool:
        """Whether every candidate matches."""
        return self.check is None and not self.check_owner

    @property
    def reads_rows(self) -> bool:
        """Whether a candidate costs more than an entry of an index that is read in its order."""
        if isinstance(self.stream, streams.Changes):
            return self.check is not None
        return self.check_owner or (self.check is not None and not _is_of_labels(self.check))


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels of which every match has one, of how many tasks they are, up to a bound, and what
    else a task with one of them has to fulfil."""

    terms: tuple[Term, ...]
    size: int
    rest: Filter | None


def plan_of(connection: sa.Connection, wish: Listing) -> Plan | None:
    """How to read `wish`; None when the counters know that nothing matches."""
    cohorts = cohorts_of(connection, wish.owner, wish.filter)
    if not cohorts.possible:
        return None
    labels = rarest_labels(connection, wish.filter)
    if wish.order is Order.CHANGED:
        return _by_change(connection, wish, cohorts, labels)
    if labels is not None and _is_cheaper(labels, wish, cohorts):
        stream = streams.of_labels(connection.dialect, labels.terms, wish.order)
        return Plan(stream, labels.rest, check_owner=True)
    return _by_cohort(connection, wish, cohorts)


def _by_change(
    connection: sa.Connection, wish: Listing, cohorts: Cohorts, labels: Labels | None
) -> Plan:
    dialect = connection.dialect
    if labels is not None and labels.size <= min(MOST_SORTED, cohorts.size):
        few = streams.of_labels(dialect, labels.terms, Order.NEWEST)
        return Plan(few, labels.rest, check_owner=True, sort=True)
    if cohorts.size <= MOST_SORTED and len(cohorts.possible) <= MOST_RANGES:
        few = streams.of_cohorts(dialect, cohorts.possible, Order.NEWEST)
        return Plan(few, _unchecked(wish.filter, cohorts), sort=True)
    check = _unchecked(wish.filter, cohorts) if cohorts.all else wish.filter
    return Plan(streams.Changes(wish.owner), check)


def _by_cohort(connection: sa.Connection, wish: Listing, cohorts: Cohorts) -> Plan:
    check = _unchecked(wish.filter, cohorts)
    if cohorts.all and is_alone(connection, wish.owner):
        return Plan(streams.everything(wish.order), check)
    most = check is not None and cohorts.size > cohorts.total / 2
    if most or len(cohorts.possible) > MOST_RANGES:
        check = check if cohorts.all else wish.filter
        return Plan(streams.everything(wish.order), check, check_owner=True)
    return Plan(streams.of_cohorts(connection.dialect, cohorts.possible, wish.order), check)


def _is_cheaper(labels: Labels, wish: Listing, cohorts: Cohorts) -> bool:
    check = _unchecked(wish.filter, cohorts)
    per_entry = 1 if check is None or _is_of_labels(check) else ROW_COST
    until_full = wish.limit * cohorts.total
    by_label = ROW_COST * min(labels.size, until_full / cohorts.size)
    by_cohort = per_entry * min(cohorts.size, until_full / max(labels.size, 1))
    return by_label <= by_cohort or len(cohorts.possible) > MOST_RANGES


def _unchecked(filter_: Filter, cohorts: Cohorts) -> Filter | None:
    """What of `filter_` is not true of all tasks of the possible cohorts; None for nothing."""
    parts = [
        part
        for part in conjuncts(filter_)
        if any(decide(cohort, part) is not True for cohort in cohorts.possible)
    ]
    return And(tuple(parts)) if parts else None


def _is_of_labels(filter_: Filter) -> bool:
    """Whether labels are all that `filter_` asks for."""
    if isinstance(filter_, Term):
        return filter_.field is Field.LABEL
    if isinstance(filter_, Not):
        return _is_of_labels(filter_.part)
    return all(_is_of_labels(part) for part in filter_.parts)


def rarest_labels(connection: sa.Connection, filter_: Filter) -> Labels | None:
    """The labels that the fewest tasks have, of those of which every match has one."""
    parts = conjuncts(filter_)
    found = []
    for index, part in enumerate(parts):
        if terms := _labels(part):
            others = parts[:index] + parts[index + 1 :]
            found.append(Labels(terms, _size(connection, terms), And(others) if others else None))
    return min(found, key=lambda labels: labels.size, default=None)


def _labels(part: Filter) -> tuple[Term, ...]:
    """The labels that `part` asks for one of; none when it may be true without one."""
    terms = part.parts if isinstance(part, Or) else (part,)
    found = tuple(
        term
        for term in terms
        if isinstance(term, Term) and term.field is Field.LABEL and term.operator is Operator.EQUAL
    )
    return tuple(dict.fromkeys(found)) if len(found) == len(terms) else ()


_some = (
    sa.select(sa.literal_column("1"))
    .where(
        task_labels.c.label == sa.bindparam("label"), task_labels.c.value == sa.bindparam("value")
    )
    .limit(MOST_COUNTED + 1)
    .subquery()
)
_number = sa.select(sa.func.count()).select_from(_some)


def _size(connection: sa.Connection, labels: Sequence[Term]) -> int:
    return sum(
        connection.execute(_number, {"label": term.label, "value": term.value}).scalar_one()
        for term in labels
    )
