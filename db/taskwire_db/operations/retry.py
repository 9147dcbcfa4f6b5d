"""Retry: ended tasks are submitted anew, each as a task of its own that names the old one.

The old tasks are held until the commit, so that none is deleted in between; being terminal they
change no more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from msgspec.structs import replace

from taskwire_core.lifecycle import State
from taskwire_core.task import FollowUp
from taskwire_db.database import Transaction
from taskwire_db.group import AnyRow, GroupStatement
from taskwire_db.models import Id, tasks
from taskwire_db.operations.follow_ups import follow_ups_of
from taskwire_db.operations.insertion import Submission
from taskwire_db.operations.submit import (
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
        sa.select(tasks.c.id, tasks.c.owner, tasks.c.state, tasks.c.follow_up_count)
        .where(tasks.c.id.in_(sa.select(v.c.id)))
        .order_by(tasks.c.id)
        .with_for_update(read=True, key_share=True)
    ),
)


def retry(tx: Transaction, retries: Sequence[Submission]) -> list[RetryResult | BaseException]:
    """Record each task whose `retry_of` has ended and is its owner's, or say why not.

    What followed the old task follows the new one too.

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
    followed = [key for key, row in rows.items() if row[3]]
    plans = follow_ups_of(tx, followed) if followed else {}
    results = iter(submit_owned(tx, [SubmitUnit((_followed(each, plans),)) for each in wanted]))
    return [
        _answer(state, next(results))
        if state is not None and state.terminal
        else RetryResult(source=state)
        for state in sources
    ]


def _followed(retry: Submission, plans: Mapping[bytes, tuple[FollowUp, ...]]) -> Submission:
    plan = plans.get(retry.task.retry_of or b"", ())
    return replace(retry, task=replace(retry.task, follow_ups=plan)) if plan else retry


def _state_of(retry: Submission, source: AnyRow | None) -> State | None:
    return State(source[2]) if source is not None and source[1] == retry.task.owner else None


def _answer(state: State, result: UnitResult | BaseException) -> RetryResult | BaseException:
    if isinstance(result, BaseException):
        return result
    if result.reused:
        return RetryResult(source=state, reused=True)
    return RetryResult(result.submitted[0], state)
