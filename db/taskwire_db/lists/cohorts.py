"""The cohorts of a user's tasks: what the counters know, before a single row is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from taskwire_core.filters import Cohort, Filter, decide
from taskwire_core.lifecycle import State
from taskwire_db.models import task_counters

_c = task_counters.c
_sum = sa.func.sum(_c.count)
_of_owner = (
    sa.select(_c.type, _c.queue, _c.state, _sum)
    .where(_c.owner == sa.bindparam("owner"))
    .group_by(_c.type, _c.queue, _c.state)
    .having(_sum > 0)
)
_others = sa.select(sa.literal(1)).where(_c.owner != sa.bindparam("owner"), _c.count > 0).limit(1)


@dataclass(frozen=True, slots=True)
class Cohorts:
    """A user's tasks by cohort, with their numbers: those that all match, and those of which
    some may; the others are left out. `all` says that nothing was."""

    matching: Mapping[Cohort, int]
    undecided: Mapping[Cohort, int]
    all: bool
    total: int
    """How many tasks the user has, matching or not."""

    @property
    def possible(self) -> tuple[Cohort, ...]:
        """All cohorts in which there may be a match."""
        return (*self.matching, *self.undecided)

    @property
    def size(self) -> int:
        """How many tasks those have."""
        return sum(self.matching.values()) + sum(self.undecided.values())


def cohorts_of(connection: sa.Connection, owner: str, filter_: Filter) -> Cohorts:
    """The cohorts of `owner`, sorted by what `filter_` says of them."""
    matching: dict[Cohort, int] = {}
    undecided: dict[Cohort, int] = {}
    found = connection.execute(_of_owner, {"owner": owner}).all()
    for type_, queue, state, count in found:
        cohort = Cohort(type_, queue, owner, State(state))
        decided = decide(cohort, filter_)
        if decided is not False:
            (undecided if decided is None else matching)[cohort] = int(count)
    return Cohorts(
        matching,
        undecided,
        all=len(matching) + len(undecided) == len(found),
        total=sum(int(row[3]) for row in found),
    )


def is_alone(connection: sa.Connection, owner: str) -> bool:
    """Whether nobody but `owner` has tasks."""
    return connection.execute(_others, {"owner": owner}).first() is None
