"""A page of a list: candidates are looked at until it is full, or until they were enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from taskwire_core.listing import Listing, Order, Place, TaskPage
from taskwire_db.database import Database
from taskwire_db.filters import condition
from taskwire_db.group import AnyRow
from taskwire_db.lists.plans import MOST_ENTRIES, MOST_ROWS, MOST_SORTED, Plan, plan_of
from taskwire_db.lists.spans import spans_of
from taskwire_db.lists.streams import Changes
from taskwire_db.models import Id, tasks
from taskwire_db.operations.reading import bearable, tasks_by_id


def list_tasks(database: Database, connection: sa.Connection, wish: Listing) -> TaskPage:
    """The page that `wish` asks for."""
    plan = plan_of(connection, wish)
    if plan is None:
        return TaskPage((), None)
    places, next_ = _places(connection, wish, plan)
    kept = bearable(connection, [place.id for place in places], wish.view, wish.max_bytes)
    if kept < len(places):
        places, next_ = places[:kept], places[kept - 1]
    found = tasks_by_id(database, connection, [place.id for place in places], wish.view)
    return TaskPage(tuple(found[place.id] for place in places), next_)


def _places(
    connection: sa.Connection, wish: Listing, plan: Plan
) -> tuple[list[Place], Place | None]:
    """The matches of the page in their order, and where the next page begins."""
    found: dict[Place, None] = {}
    after, looked_at = wish.after, 0
    all_match = plan.is_exact or plan.sort
    step = wish.limit + 1 if all_match else 4 * wish.limit
    most = max(MOST_ROWS if plan.reads_rows else MOST_ENTRIES, step)
    while True:
        rows = _candidates(connection, wish, plan, after, step)
        for task_id, time_us, matches in rows:
            after = Place(bytes(task_id), time_us)
            if matches and after not in found:
                if len(found) == wish.limit:
                    return list(found), next(reversed(found))
                found[after] = None
        looked_at += len(rows)
        if len(rows) < step:
            return list(found), None
        if looked_at >= most:
            return list(found), after
        step = min(_next_step(step, len(found), looked_at, wish.limit), most - looked_at)


def _next_step(step: int, found: int, looked_at: int, limit: int) -> int:
    """How many candidates will probably fill the page, if the next are like those before."""
    if not found:
        return 4 * step
    return max(limit, (limit + 1 - found) * looked_at * 4 // (3 * found))


_TRUE: Any = sa.literal_column("1")
_NO_TIME: Any = sa.literal_column("0")


def _candidates(
    connection: sa.Connection, wish: Listing, plan: Plan, after: Place | None, limit: int
) -> Sequence[AnyRow]:
    """Ids, update times and whether each matches, in the list's order."""
    statement, parameters = statement_of(wish, plan, after, limit)
    found: Sequence[AnyRow] = connection.execute(statement, parameters).all()
    return found


def statement_of(
    wish: Listing, plan: Plan, after: Place | None, limit: int
) -> tuple[Any, dict[str, object]]:
    """The statement that reads candidates, and its parameters."""
    spans = spans_of(wish.filter)
    if plan.sort:
        parameters = {**plan.stream.after(None, spans, MOST_SORTED), "page": limit}
        return _sorted(wish, plan, after), parameters
    return _in_order(wish, plan), plan.stream.after(after, spans, limit)


def _in_order(wish: Listing, plan: Plan) -> Any:
    """The stream, with what the filter says of each candidate."""
    few = plan.stream.select.subquery("candidates")
    changes = isinstance(plan.stream, Changes)
    time = few.c.update_time if changes else _NO_TIME
    matches = _TRUE if plan.is_exact else sa.case((_matches(wish, plan, few.c.id), 1), else_=0)
    found = sa.select(few.c.id, time, matches)
    if plan.reads_rows:
        found = found.join_from(few, tasks, tasks.c.id == few.c.id)
    if changes:
        return found.order_by(time.desc(), few.c.id.desc())
    return found.order_by(few.c.id if wish.order is Order.OLDEST else few.c.id.desc())


def _sorted(wish: Listing, plan: Plan, after: Place | None) -> Any:
    """The matches among all candidates, which are few, in the order of changes."""
    few = plan.stream.select.subquery("candidates")
    # A sum, lest a planner hopes to find the few soon in the order of ix_tasks_updated.
    time = tasks.c.update_time + sa.literal_column("0")
    found = sa.select(tasks.c.id, tasks.c.update_time, _TRUE).join_from(
        few, tasks, tasks.c.id == few.c.id
    )
    if not plan.is_exact:
        found = found.where(_matches(wish, plan, tasks.c.id))
    if after is not None:
        here = sa.tuple_(sa.literal(after.update_time_us), sa.literal(after.id, Id))
        found = found.where(sa.tuple_(time, tasks.c.id) < here)
    page: Any = sa.bindparam("page", type_=sa.Integer())
    return found.order_by(time.desc(), tasks.c.id.desc()).limit(page)


def _matches(wish: Listing, plan: Plan, task_id: Any) -> sa.ColumnElement[bool]:
    parts = []
    if plan.check_owner:
        parts.append(tasks.c.owner == wish.owner)
    if plan.check is not None:
        parts.append(condition(plan.check, task_id))
    return sa.and_(*parts)
