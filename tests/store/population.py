"""Tasks put straight into the tables, in any state and of any age, counted as if they had moved."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta

from taskwire_core.failure import Code, Failure, FailureKind
from taskwire_core.ids import created_us
from taskwire_core.lifecycle import State
from taskwire_core.options import TaskOptions
from taskwire_core.task import Task
from taskwire_db import codec
from taskwire_db.database import Database, Transaction
from taskwire_db.group import RowInsert
from taskwire_db.models import task_labels, task_outcomes, tasks
from taskwire_db.rows import task_row
from tests.store.steps import SECOND, START_US

TYPES = ["acme.images.v1.Images/Shrink", "acme.images.v1.Images/Crop", "acme.mail.v1.Mail/Send"]
QUEUES = ["images", "mail"]
OWNERS = ["ann", "bob"]
LABELS = {"customer": ["acme", "Acme", "umbra", ""], "team.name-x": ["blue", "b'l\"u_e%"]}
ERROR_TYPES = ["", "acme.io.Gone", "acme.io", "builtins.ValueError"]


def task_id(time_us: int, number: int) -> bytes:
    """A UUIDv7 of that time; `number` orders those of one millisecond."""
    return (time_us // 1000).to_bytes(6) + b"\x70\x00" + b"\x80" + number.to_bytes(7)


def insert(database: Database, found: Sequence[Task]) -> None:
    """Record `found` with their labels and failures."""
    columns = [column.name for column in tasks.columns]
    with database.transaction() as tx:
        rows = [dict(zip(columns, _row(tx, task), strict=True)) for task in found]
        for row, task in zip(rows, found, strict=True):
            row.update(end_time=task.end_time_us, delete_time=task.delete_time_us)
        RowInsert(tasks).run(tx.connection, [tuple(row.values()) for row in rows])
        labels = [(k, v, task.id) for task in found for k, v in task.labels.items()]
        RowInsert(task_labels).run(tx.connection, labels)
        failures = [(t.id, None, None, codec.encode_failure(t.failure)) for t in found if t.failure]
        RowInsert(task_outcomes).run(tx.connection, failures)
        for task in found:
            tx.moved(task, None)


def _row(tx: Transaction, task: Task) -> tuple[object, ...]:
    return task_row(tx, task, gateway_id=None, request_id=None)


def random_task(chance: random.Random, number: int) -> Task:
    """A task with any of the values above, made within the first minute after START_US."""
    state = chance.choice(list(State))
    identity = task_id(START_US + chance.randrange(60 * SECOND), number)
    created = created_us(identity) or 0
    updated = created + chance.randrange(60 * SECOND)
    kind = chance.choice(list(FailureKind))
    failure = Failure(kind, Code.UNKNOWN, "R", "It failed.", type=chance.choice(ERROR_TYPES))
    return Task(
        id=identity,
        type=chance.choice(TYPES),
        owner=chance.choice(OWNERS),
        state=state,
        version=1,
        attempt=chance.randrange(5),
        handed_back=0,
        crashes=0,
        solo=False,
        dispatch=1,
        dispatched=False,
        options=TaskOptions(queue=chance.choice(QUEUES), result_ttl=timedelta(days=1)),
        create_time_us=created,
        schedule_time_us=created,
        not_before_us=created,
        update_time_us=updated,
        end_time_us=updated if state.terminal else None,
        labels={k: chance.choice(v) for k, v in LABELS.items() if chance.random() < 0.6},
        failure=failure if state is State.FAILED else None,
    )
