"""Submit: record new tasks, once per request id.

A unit is what one call submits: all of it is recorded or nothing. The request ids are
claimed first, by an INSERT that ignores those that exist: whoever inserted wins, and the
losers are answered with the winner's task. On PostgreSQL that INSERT waits for a winner that has
not committed yet; the SELECT after it then sees what was committed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from msgspec import Struct

from taskwire_core.lifecycle import Event
from taskwire_core.task import NewTask, Task, View
from taskwire_db.database import Transaction
from taskwire_db.group import Columns, GroupStatement, insert_for
from taskwire_db.models import Id, task_requests
from taskwire_db.operations.events import Moved, record
from taskwire_db.operations.insertion import Submission, insert
from taskwire_db.operations.reading import tasks_by_id
from taskwire_db.problems import Contended


class SubmitUnit(Struct, frozen=True):
    """Submissions that are recorded together or not at all."""

    submissions: tuple[Submission, ...]


class Submitted(Struct, frozen=True):
    """A recorded task in the BASIC view; `created` is False if its request id had made it."""

    task: Task
    created: bool


class UnitResult(Struct, frozen=True):
    """The tasks of a unit in its order; or, when `reused` is not empty, nothing was recorded.

    `reused` are the positions whose request id had been used with other content.
    """

    submitted: tuple[Submitted, ...]
    reused: tuple[int, ...] = ()


class _ApartError(Exception):
    """Two units of a group depend on one another: each must run in its own transaction."""


_REQUEST: Columns = {
    "owner": sa.Text(),
    "request_id": sa.Text(),
    "task_id": Id,
    "request_hash": sa.LargeBinary(),
}


def _insert_requests(dialect: sa.Dialect) -> GroupStatement:
    def build(v: sa.CTE) -> sa.ClauseElement:
        chosen = sa.select(v.c.owner, v.c.request_id, v.c.task_id, v.c.request_hash).where(
            v.c.task_id.is_not(None)
        )
        statement: Any = insert_for(dialect, task_requests).from_select(list(_REQUEST), chosen)
        statement = statement.on_conflict_do_nothing()
        return statement.returning(task_requests.c.task_id)  # type: ignore[no-any-return]  # is one

    return GroupStatement(_REQUEST, build)


_requests_by_dialect: dict[str, GroupStatement] = {}

_find_requests = GroupStatement(
    {"owner": sa.Text(), "request_id": sa.Text()},
    lambda v: (
        sa.select(
            task_requests.c.owner,
            task_requests.c.request_id,
            task_requests.c.task_id,
            task_requests.c.request_hash,
        )
        .join_from(
            v,
            task_requests,
            (task_requests.c.owner == v.c.owner) & (task_requests.c.request_id == v.c.request_id),
        )
        # Held until the commit: the task that it names must not be deleted before we answer.
        .with_for_update(read=True, key_share=True, of=task_requests)
    ),
)

_drop_requests = GroupStatement(
    {"task_id": Id, "owner": sa.Text(), "request_id": sa.Text()},
    lambda v: sa.delete(task_requests).where(
        sa.tuple_(task_requests.c.owner, task_requests.c.request_id).in_(
            sa.select(v.c.owner, v.c.request_id).where(v.c.task_id.is_not(None))
        )
    ),
)


def submit(tx: Transaction, units: Sequence[SubmitUnit]) -> list[UnitResult | BaseException]:
    """Record every unit whose request ids allow it."""
    named = [s.task for u in units for s in u.submissions if s.task.request_id is not None]
    existing, won = _claim(tx, named)
    results: list[UnitResult | BaseException | None] = []
    accepted: list[Submission] = []
    dropped: list[NewTask] = []
    for unit in units:
        reused = tuple(_reused(unit, existing))
        if reused:
            dropped.extend(s.task for s in unit.submissions if s.task.id in won)
            results.append(UnitResult((), reused))
        else:
            accepted.extend(s for s in unit.submissions if _is_new(s.task, existing))
            results.append(None)
    if dropped:
        _release(tx, dropped, existing, units)
    created = _record(tx, accepted)
    found = _existing_tasks(tx, units, existing, created)
    return [
        result if result is not None else _answer(unit, existing, created, found)
        for unit, result in zip(units, results, strict=True)
    ]


_Existing = dict[tuple[str, str], tuple[bytes, bytes]]


def _claim(tx: Transaction, named: Sequence[NewTask]) -> tuple[_Existing, set[bytes]]:
    """Which task each named request belongs to now, and the ids that this group has won."""
    if not named:
        return {}, set()
    name = tx.connection.dialect.name
    if name not in _requests_by_dialect:
        _requests_by_dialect[name] = _insert_requests(tx.connection.dialect)
    # Two transactions that claim the same names in one order do not wait for one another. The
    # sort is stable: of two submissions with one name the first one wins.
    rows = sorted(((t.owner, t.request_id, t.id, t.request_hash) for t in named), key=_name_of)
    won = {bytes(r[0]) for r in _requests_by_dialect[name].run(tx.connection, rows)}
    existing = {(t.owner, t.request_id or ""): (t.id, t.request_hash) for t in named if t.id in won}
    lost = [(t.owner, t.request_id) for t in named if t.id not in won]
    if lost:
        for owner, request_id, task_id, request_hash in _find_requests.run(tx.connection, lost):
            existing[owner, request_id] = (bytes(task_id), bytes(request_hash))
    if any((owner, request_id or "") not in existing for owner, request_id in lost):
        raise Contended("the task of a request id is being deleted")
    return existing, won


def _name_of(row: Sequence[Any]) -> Any:  # owner and request id
    return row[:2]


def _key(task: NewTask) -> tuple[str, str]:
    return task.owner, task.request_id or ""


def _reused(unit: SubmitUnit, existing: _Existing) -> list[int]:
    return [
        position
        for position, s in enumerate(unit.submissions)
        if s.task.request_id is not None and existing[_key(s.task)][1] != s.task.request_hash
    ]


def _is_new(task: NewTask, existing: _Existing) -> bool:
    return task.request_id is None or existing[_key(task)][0] == task.id


def _release(
    tx: Transaction,
    dropped: Sequence[NewTask],
    existing: _Existing,
    units: Sequence[SubmitUnit],
) -> None:
    """Give back the request ids of units that are refused whole."""
    ids = {task.id for task in dropped}
    for unit in units:
        for s in unit.submissions:
            if s.task.request_id is None or s.task.id in ids:
                continue
            if existing[_key(s.task)][0] in ids and len(units) > 1:
                raise _ApartError("a unit of this group depends on one that was refused")
    _drop_requests.run(tx.connection, [(t.id, t.owner, t.request_id) for t in dropped])


def _record(tx: Transaction, accepted: Sequence[Submission]) -> dict[bytes, Task]:
    made = {task.id: task for task in insert(tx, accepted)}
    record(tx, [Moved(t, None, Event.SUBMIT, actor=t.owner) for t in made.values()])
    return made


def _existing_tasks(
    tx: Transaction,
    units: Sequence[SubmitUnit],
    existing: _Existing,
    created: dict[bytes, Task],
) -> dict[bytes, Task]:
    wanted = {
        existing[_key(s.task)][0]
        for u in units
        for s in u.submissions
        if s.task.request_id is not None
    } - created.keys()
    # Without their results: those of a group together know no bound.
    found = list(wanted)
    return tasks_by_id(tx.database, tx.connection, found, View.BASIC) if found else {}


def _answer(
    unit: SubmitUnit,
    existing: _Existing,
    created: dict[bytes, Task],
    found: dict[bytes, Task],
) -> UnitResult:
    answers = []
    for s in unit.submissions:
        task_id = s.task.id if s.task.request_id is None else existing[_key(s.task)][0]
        task = created.get(task_id) or found.get(task_id)
        if task is None:
            raise Contended("the task of a request id was deleted at this very moment")
        answers.append(Submitted(task, created=task_id == s.task.id))
    return UnitResult(tuple(answers))
