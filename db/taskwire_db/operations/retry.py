"""Retry: ended tasks are submitted anew, each as a task of its own that names the old one.

The old tasks are held until the commit, so that none is deleted in between; being terminal they
change no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from taskwire_core.lifecycle import State
from taskwire_db.database import Transaction
from taskwire_db.group import AnyRow, GroupStatement
from taskwire_db.models import Id, tasks
from taskwire_db.operations.submit import (
    Submission,
    Submitted,
    SubmitUnit,
    UnitResult,
)
from taskwire_db.operations.users import submit_owned


@dataclass(frozen=True, slots=True)
class RetryResult:
    """The new task, or why there is none.

    `source` is the state of the old task, None when there is none of that owner; `reused` says
    that the request id had been used with other content.
    """

    submitted: Submitted | None = None
    source: State | None = None
    reused: bool = False


_held = GroupStatement(
    {"id": Id},
    lambda v: (
        sa.select(tasks.c.id, tasks.c.owner, tasks.c.state)
        .where(tasks.c.id.in_(sa.select(v.c.id)))
        .order_by(tasks.c.id)
        .with_for_update(read=True, key_share=True)
    ),
)


def retry(tx: Transaction, retries: Sequence[Submission]) -> list[RetryResult | BaseException]:
    """Record each task whose `retry_of` has ended and is its owner's, or say why not.

    Whoever fails, fails alone. A request id that has made its task before is answered with it.
    """
    keys = sorted({each.task.retry_of or b"" for each in retries})
    rows = {bytes(row[0]): row for row in _held.run(tx.connection, [(key,) for key in keys])}
    sources = [_state_of(each, rows.get(each.task.retry_of or b"")) for each in retries]
    wanted = [
        each
        for each, state in zip(retries, sources, strict=True)
        if state is not None and state.terminal
    ]
    results = iter(submit_owned(tx, [SubmitUnit((each,)) for each in wanted]))
    return [
        _answer(state, next(results))
        if state is not None and state.terminal
        else RetryResult(source=state)
        for state in sources
    ]


def _state_of(retry: Submission, source: AnyRow | None) -> State | None:
    return State(source[2]) if source is not None and source[1] == retry.task.owner else None


def _answer(state: State, result: UnitResult | BaseException) -> RetryResult | BaseException:
    if isinstance(result, BaseException):
        return result
    if result.reused:
        return RetryResult(source=state, reused=True)
    return RetryResult(result.submitted[0], state)
