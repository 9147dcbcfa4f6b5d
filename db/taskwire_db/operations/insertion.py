"""The rows of new tasks: whoever submits them, this is how they are written."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from taskwire_core.lifecycle import State
from taskwire_core.task import NewTask, Task
from taskwire_db import codec
from taskwire_db.database import Transaction
from taskwire_db.group import RowInsert
from taskwire_db.models import task_follow_ups, task_inputs, task_labels, tasks
from taskwire_db.rows import new_task, task_row


class Submission(Struct, frozen=True):
    """One task to record. `gateway_id` is the gateway that will publish it itself; None leaves
    it to the dispatcher."""

    task: NewTask
    gateway_id: bytes | None = None


_insert_tasks = RowInsert(tasks)
_insert_inputs = RowInsert(task_inputs)
_insert_labels = RowInsert(task_labels)
_insert_follow_ups = RowInsert(task_follow_ups)


def insert(tx: Transaction, submissions: Sequence[Submission]) -> list[Task]:
    """The tasks, which have their rows now; their events are the caller's to record."""
    made: list[Task] = []
    rows: list[tuple[object, ...]] = []
    inputs: list[tuple[object, ...]] = []
    labels: list[tuple[object, ...]] = []
    follow_ups: list[tuple[object, ...]] = []
    for s in submissions:
        task = new_task(s.task, tx.now_us)
        owned = s.gateway_id if task.state == State.QUEUED else None
        rows.append(task_row(tx, task, gateway_id=owned, request_id=s.task.request_id))
        inputs.append((task.id, s.task.input.type_name, s.task.input.data))
        labels.extend((key, value, task.id) for key, value in task.labels.items())
        if s.task.follow_ups:
            follow_ups.extend(_follow_up_rows(s.task))
        made.append(task)
    _insert_tasks.run(tx.connection, rows)
    _insert_inputs.run(tx.connection, inputs)
    _insert_labels.run(tx.connection, labels)
    _insert_follow_ups.run(tx.connection, follow_ups)
    return made


def _follow_up_rows(new: NewTask) -> list[tuple[object, ...]]:
    return [
        (new.id, position, int(each.condition), each.type, codec.encode_follow_up(each), None)
        for position, each in enumerate(new.follow_ups)
    ]
