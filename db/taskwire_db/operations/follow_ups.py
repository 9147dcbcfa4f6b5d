"""Follow-ups: what the end of a task submits, in the transaction that ends it.

A task ends once, by one compare-and-set, whoever makes it. Its follow-ups are recorded by
whatever records that move (`events.record`), so that no end forgets them and none doubles them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import sqlalchemy as sa

from taskwire_contracts.task_message import ended_task
from taskwire_core.failpoints import ARMED, hit
from taskwire_core.follow_up import Condition, with_field
from taskwire_core.ids import new_id
from taskwire_core.task import FollowUp, NewTask, Payload, PlannedFollowUp, Task
from taskwire_db import codec
from taskwire_db.database import Transaction
from taskwire_db.group import GroupStatement
from taskwire_db.models import Id, task_follow_ups
from taskwire_db.operations.insertion import Submission, insert

_planned = GroupStatement(
    {"id": Id},
    lambda v: (
        sa.select(
            task_follow_ups.c.task_id,
            task_follow_ups.c.position,
            task_follow_ups.c.condition,
            task_follow_ups.c.body,
        )
        .join_from(v, task_follow_ups, task_follow_ups.c.task_id == v.c.id)
        .order_by(task_follow_ups.c.task_id, task_follow_ups.c.position)
    ),
)

_shown = GroupStatement(
    {"id": Id},
    lambda v: (
        sa.select(
            task_follow_ups.c.task_id,
            task_follow_ups.c.condition,
            task_follow_ups.c.type,
            task_follow_ups.c.made_id,
        )
        .join_from(v, task_follow_ups, task_follow_ups.c.task_id == v.c.id)
        .order_by(task_follow_ups.c.task_id, task_follow_ups.c.position)
    ),
)

_mark = GroupStatement(
    {"task_id": Id, "position": sa.SmallInteger(), "made_id": Id},
    lambda v: (
        sa.update(task_follow_ups)
        .values(made_id=v.c.made_id)
        .where(task_follow_ups.c.task_id == v.c.task_id)
        .where(task_follow_ups.c.position == v.c.position)
    ),
)


def follow(tx: Transaction, ended: Sequence[Task]) -> list[Task]:
    """The tasks that the ends of these ask for, which have their rows now.

    `ended` have their outcome; their events are the caller's to record.
    """
    parents = {task.id: task for task in ended}
    new: list[NewTask] = []
    marks: list[tuple[object, ...]] = []
    for task_id, position, condition, body in _planned.run(tx.connection, [(i,) for i in parents]):
        parent = parents[bytes(task_id)]
        if Condition(condition).met_by(parent.state):
            child = _child(parent, codec.decode_follow_up(bytes(body)), tx.now_us)
            new.append(child)
            marks.append((parent.id, position, child.id))
    made = insert(tx, [Submission(child) for child in new])
    _mark.run(tx.connection, marks)
    if ARMED and made:
        hit("follow_ups.made")
    return made


def follow_ups_of(tx: Transaction, task_ids: Sequence[bytes]) -> dict[bytes, tuple[FollowUp, ...]]:
    """What follows each of these tasks, whether it has ended or not."""
    found: dict[bytes, list[FollowUp]] = defaultdict(list)
    for task_id, _, _, body in _planned.run(tx.connection, [(i,) for i in task_ids]):
        found[bytes(task_id)].append(codec.decode_follow_up(bytes(body)))
    return {task_id: tuple(each) for task_id, each in found.items()}


def shown_follow_ups(
    connection: sa.Connection, task_ids: Sequence[bytes]
) -> dict[bytes, tuple[PlannedFollowUp, ...]]:
    """What a task shows of its follow-ups, by task."""
    found: dict[bytes, list[PlannedFollowUp]] = defaultdict(list)
    for task_id, condition, type_, made_id in _shown.run(connection, [(i,) for i in task_ids]):
        made = None if made_id is None else bytes(made_id)
        found[bytes(task_id)].append(PlannedFollowUp(Condition(condition), type_, made))
    return {task_id: tuple(each) for task_id, each in found.items()}


def _child(parent: Task, plan: FollowUp, now_us: int) -> NewTask:
    return NewTask(
        id=new_id(),
        type=plan.type,
        owner=parent.owner,
        input=_filled(plan, parent),
        options=plan.options,
        create_time_us=now_us,
        schedule_time_us=max(now_us + plan.delay_us, plan.schedule_time_us),
        labels=plan.labels,
        parent=parent.id,
        generation=parent.generation + 1,
        follow_ups=plan.follow_ups,
    )


def _filled(plan: FollowUp, parent: Task) -> Payload:
    if plan.outcome is None:
        return plan.input
    if plan.outcome.whole_task:
        outcome = ended_task(parent).SerializeToString()
    else:
        assert parent.result is not None, "only a success hands its result over"
        outcome = parent.result.data
    data = with_field(plan.input.data, plan.outcome.number, outcome)
    return Payload(plan.input.type_name, data)
