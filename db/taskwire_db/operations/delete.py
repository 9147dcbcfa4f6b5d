"""Delete: an ended task leaves nothing but its place in the counters, and for an hour its name.

A terminal state never changes, so what was read under the row's lock is still so when the rows
go; a task that has not ended is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from taskwire_core.lifecycle import State
from taskwire_db import codec
from taskwire_db.database import Transaction
from taskwire_db.group import AnyRow, GroupStatement, RowInsert
from taskwire_db.models import (
    Id,
    task_deletions,
    task_events,
    task_follow_ups,
    task_inputs,
    task_labels,
    task_outcomes,
    task_progress,
    task_requests,
    tasks,
)


@dataclass(frozen=True, slots=True)
class DeleteRequest:
    """Delete a task of `owner` (None: whosever it is)."""

    task_id: bytes
    owner: str | None


@dataclass(frozen=True, slots=True)
class DeleteResult:
    """The state that the task was found in. It is deleted if that is a terminal one."""

    state: State

    @property
    def deleted(self) -> bool:
        """Whether the task is gone now; else it has not ended, and nothing was changed."""
        return self.state.terminal


DOOMED_COLUMNS: tuple[sa.ColumnElement[object], ...] = (
    tasks.c.id,
    tasks.c.type,
    tasks.c.queue,
    tasks.c.owner,
    tasks.c.state,
    tasks.c.request_id,
    tasks.c.labels,
)
"""What `erase` needs to know of a task, in this order."""

_locked = GroupStatement(
    {"id": Id},
    lambda v: (
        sa.select(*DOOMED_COLUMNS)
        .where(tasks.c.id.in_(sa.select(v.c.id)))
        .order_by(tasks.c.id)
        .with_for_update()
    ),
)


def _by_id(column: sa.Column[bytes]) -> GroupStatement:
    return GroupStatement(
        {"id": Id}, lambda v: sa.delete(column.table).where(column.in_(sa.select(v.c.id)))
    )


_parts = [
    _by_id(task_inputs.c.task_id),
    _by_id(task_outcomes.c.task_id),
    _by_id(task_events.c.task_id),
    _by_id(task_progress.c.task_id),
    _by_id(task_follow_ups.c.task_id),
    _by_id(tasks.c.id),
]

_labels = GroupStatement(
    {"label": sa.Text(), "value": sa.Text(), "task_id": Id},
    lambda v: sa.delete(task_labels).where(
        sa.tuple_(task_labels.c.label, task_labels.c.value, task_labels.c.task_id).in_(
            sa.select(v.c.label, v.c.value, v.c.task_id)
        )
    ),
)

_requests = GroupStatement(
    {"owner": sa.Text(), "request_id": sa.Text()},
    lambda v: sa.delete(task_requests).where(
        sa.tuple_(task_requests.c.owner, task_requests.c.request_id).in_(
            sa.select(v.c.owner, v.c.request_id)
        )
    ),
)

_deletions = RowInsert(task_deletions)


def delete(tx: Transaction, requests: Sequence[DeleteRequest]) -> list[DeleteResult | None]:
    """What became of each task; None where there is no such task of that owner."""
    ids = sorted({request.task_id for request in requests})
    rows = {bytes(row[0]): row for row in _locked.run(tx.connection, [(i,) for i in ids])}
    found = [rows.get(request.task_id) for request in requests]
    mine = [
        row if row is not None and request.owner in (None, row[3]) else None
        for request, row in zip(requests, found, strict=True)
    ]
    doomed = {bytes(row[0]): row for row in mine if row is not None and State(row[4]).terminal}
    erase(tx, list(doomed.values()))
    return [None if row is None else DeleteResult(State(row[4])) for row in mine]


def erase(tx: Transaction, doomed: Sequence[AnyRow]) -> None:
    """Delete these ended tasks (rows of DOOMED_COLUMNS, locked) with all that belongs to them."""
    if not doomed:
        return
    ids = [(bytes(row[0]),) for row in doomed]
    labels = [(key, value, row[0]) for row in doomed for key, value in _labels_of(row)]
    requests = [(row[3], row[5]) for row in doomed if row[5] is not None]
    if labels:
        _labels.run(tx.connection, labels)
    if requests:
        _requests.run(tx.connection, requests)
    for part in _parts:
        part.run(tx.connection, ids)
    for task_id, type_, queue, owner, state, _, _ in doomed:
        tx.erased(bytes(task_id), type=type_, queue=queue, owner=owner, state=State(state))
    _deletions.run(tx.connection, [(bytes(row[0]), row[3], tx.now_us) for row in doomed])


def _labels_of(row: AnyRow) -> list[tuple[str, str]]:
    return list(codec.decode_labels(row[6]).items())
