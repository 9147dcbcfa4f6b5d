"""Submissions of running tasks: recorded while the attempt that makes them is its task's own.

An attempt that was lost, or whose time is up, submits nothing any more: whatever it still does,
another one may be doing already.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from msgspec import Struct

from taskwire_core.lifecycle import State
from taskwire_core.task import NewTask
from taskwire_db.database import Transaction
from taskwire_db.group import GroupStatement
from taskwire_db.models import Id, is_state, tasks
from taskwire_db.operations.insertion import Submission
from taskwire_db.operations.submit import Submitted, SubmitUnit, UnitResult, submit


class ChildSubmission(Struct, frozen=True):
    """A task that attempt `attempt` of its parent submits; its request id names it there."""

    task: NewTask
    attempt: int


class AttemptOver(Exception):
    """The attempt is not its task's running one any more; nothing was recorded."""


class KeyReused(Exception):
    """The request id was used with other content; nothing was recorded."""


_running = GroupStatement(
    {"id": Id},
    lambda v: (
        sa.select(tasks.c.id, tasks.c.attempt)
        .where(tasks.c.id.in_(sa.select(v.c.id)))
        .where(is_state(tasks.c.state, State.RUNNING, State.CANCELLING))
    ),
)


def submit_children(
    tx: Transaction, children: Sequence[ChildSubmission]
) -> list[Submitted | BaseException]:
    """Record each child, or find the one that an earlier attempt has made."""
    parents = {(each.task.parent,) for each in children}
    running = {(bytes(row[0]), row[1]) for row in _running.run(tx.connection, sorted(parents))}
    alive = [each for each in children if (each.task.parent, each.attempt) in running]
    results = iter(submit(tx, [SubmitUnit((Submission(each.task),)) for each in alive]))
    return [
        _answer(tx, next(results)) if (each.task.parent, each.attempt) in running else AttemptOver()
        for each in children
    ]


def _answer(tx: Transaction, result: UnitResult | BaseException) -> Submitted | BaseException:
    if isinstance(result, BaseException):
        return result
    if result.reused:
        return KeyReused()
    (submitted,) = result.submitted
    if submitted.created and submitted.task.state == State.QUEUED:
        # No gateway publishes it: its doorbell wakes the one that leads.
        tx.changed.append(submitted.task)
    return submitted
