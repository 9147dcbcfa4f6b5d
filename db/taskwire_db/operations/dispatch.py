"""Dispatch marks: which queued tasks are with the broker, and whose turn it is to publish.

The outbox is two columns. `dispatched_at` is set once the broker has confirmed; until then
`gateway_id` says which gateway publishes the row, and NULL leaves it to the dispatcher. None
of this is a transition: a mark neither changes the version nor rings a doorbell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from taskwire_core.lifecycle import State
from taskwire_core.task import Dispatch
from taskwire_db.database import Transaction
from taskwire_db.group import Columns, GroupStatement
from taskwire_db.models import Id, Micros, is_state, tasks

_now = sa.bindparam("now", type_=Micros)
_queued = is_state(tasks.c.state, State.QUEUED)
_one: sa.ColumnClause[int] = sa.literal_column("1")
_COLUMNS: Columns = {"id": Id, "number": sa.Integer()}

CANDIDATES_PER_PLACE = 4

_mark = GroupStatement(
    _COLUMNS,
    lambda v: (
        sa.update(tasks)
        .values(dispatched_at=_now)
        .where(tasks.c.id == v.c.id, tasks.c.dispatch == v.c.number, _queued)
        .where(tasks.c.dispatched_at.is_(None))
    ),
)

_unmark = GroupStatement(
    _COLUMNS,
    lambda v: (
        sa.update(tasks)
        .values(
            dispatched_at=sa.null(),
            gateway_id=sa.null(),
            dispatch=tasks.c.dispatch + _one,
        )
        .where(tasks.c.id == v.c.id, tasks.c.dispatch == v.c.number, _queued)
    ),
)


def mark_dispatched(tx: Transaction, dispatches: Sequence[Dispatch]) -> list[None]:
    """The broker has these; only rows that still wait for this very dispatch are marked."""
    _mark.run(tx.connection, sorted((d.task_id, d.number) for d in dispatches), now=tx.now_us)
    return [None] * len(dispatches)


def undispatch(tx: Transaction, dispatches: Sequence[Dispatch]) -> list[None]:
    """These met a worker without their handler: the dispatcher's next sweep sends them again."""
    _unmark.run(tx.connection, sorted((d.task_id, d.number) for d in dispatches))
    return [None] * len(dispatches)


@dataclass(frozen=True, slots=True)
class Backlog:
    """Take up to `limit` rows of `queue`, of these `types`, for `gateway_id` to publish."""

    queue: str
    types: tuple[str, ...]
    limit: int
    gateway_id: bytes


def take_backlog(tx: Transaction, requests: Sequence[Backlog]) -> list[list[Dispatch]]:
    """What the gateway is to publish now: by priority, in turn between owners, then by age."""
    return [_take(tx, request) for request in requests]


def _take(tx: Transaction, request: Backlog) -> list[Dispatch]:
    rows = tx.connection.execute(
        _TAKE,
        {
            "wanted_queue": request.queue,
            "types": list(request.types),
            "limit": request.limit,
            "candidates": request.limit * CANDIDATES_PER_PLACE,
            "gateway": request.gateway_id,
        },
    ).all()
    found = [
        (-row[5], bytes(row[0]), Dispatch(bytes(row[0]), row[1], row[2], row[3], row[4]))
        for row in rows
    ]
    # RETURNING has no order; within one owner's turn, the order of ids is the order of age.
    return [dispatch for _, _, dispatch in sorted(found, key=lambda item: item[:2])]


def _take_statement() -> sa.Update:
    oldest = (
        sa.select(tasks.c.id, tasks.c.priority, tasks.c.owner)
        .where(_queued, tasks.c.dispatched_at.is_(None), tasks.c.gateway_id.is_(None))
        .where(tasks.c.queue == sa.bindparam("wanted_queue", type_=sa.Text()))
        .where(tasks.c.type.in_(sa.bindparam("types", expanding=True)))
        .order_by(tasks.c.priority.desc(), tasks.c.id)
        .limit(sa.bindparam("candidates", type_=sa.Integer()))
        .subquery()
    )
    turn = sa.func.row_number().over(
        partition_by=[oldest.c.owner, oldest.c.priority], order_by=oldest.c.id
    )
    ranked = sa.select(oldest.c.id, oldest.c.priority, turn.label("turn")).subquery()
    chosen = (
        sa.select(ranked.c.id)
        .order_by(ranked.c.priority.desc(), ranked.c.turn, ranked.c.id)
        .limit(sa.bindparam("limit", type_=sa.Integer()))
    )
    return (
        sa.update(tasks)
        .values(gateway_id=sa.bindparam("gateway", type_=Id))
        .where(tasks.c.id.in_(chosen), _queued, tasks.c.gateway_id.is_(None))
        .returning(
            tasks.c.id,
            tasks.c.type,
            tasks.c.queue,
            tasks.c.dispatch,
            tasks.c.version,
            tasks.c.priority,
        )
    )


_TAKE = _take_statement()


def release_gateway(tx: Transaction, gateway_ids: Sequence[bytes]) -> list[int]:
    """How many unpublished rows of each gateway were given to the dispatcher."""
    released = []
    for gateway_id in gateway_ids:
        result = tx.connection.execute(
            sa.update(tasks)
            .values(gateway_id=None)
            .where(
                _queued,
                tasks.c.dispatched_at.is_(None),
                tasks.c.gateway_id == gateway_id,
            )
        )
        released.append(result.rowcount)
    return released
