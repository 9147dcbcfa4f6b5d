"""Texts and numbers at the edge of what a database takes: none of them costs a task its end."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from taskwire_core import recovery
from taskwire_core.failure import Code, Failure, FailureKind
from taskwire_core.lifecycle import State
from taskwire_core.options import MAX_DURATION, TaskOptions
from taskwire_core.task import Payload, Progress, View
from taskwire_db import operations as ops
from taskwire_db.database import Database
from taskwire_db.models import task_labels
from taskwire_db.reader import Reader
from tests.store.invariants import check_invariants
from tests.store.steps import claimed, new_task, running, submit, succeed, worker

NUL = "a\x00b"
ODD = [
    "a\x00b",
    "\x00",
    "null\\u0000",
    "{NULL,\"\\'}",
    "naïve 🐘",
    "%s %(x)s :y",
    "",
    "a" * 300_000,
]


@pytest.mark.parametrize("text", ODD)
def test_whatever_a_handler_says_a_task_is_settled(
    database: Database, reader: Reader, text: str
) -> None:
    task = running(database)
    progress = Progress(0.5, 0, 2**63 - 1, text, database.clock.now_us())
    database.execute(ops.save_progress, ops.ProgressRow(task.id, 1, progress))
    failure = Failure(
        FailureKind.APPLICATION,
        Code.NOT_FOUND,
        "BROKEN",
        text,
        metadata={text: text},
        stack_trace=text,
    )
    now_us = database.clock.now_us()
    ended = database.execute(ops.settle, recovery.failed(task, failure, now_us=now_us))
    assert ended is not None
    assert ended.state == State.FAILED
    assert reader.get([task.id], View.FULL)[task.id].failure == failure
    check_invariants(database, [task.id])


@pytest.mark.parametrize("text", ODD)
def test_whatever_a_caller_says_a_task_is_recorded_and_cancelled(
    database: Database, reader: Reader, text: str
) -> None:
    small = text[:63]
    made = submit(database, new_task(labels={"k": small}))
    cancelled = database.execute(ops.cancel, ops.CancelRequest(made.id, "dev", text, "dev"))
    assert cancelled is not None
    assert cancelled.task.state == State.CANCELLED
    assert reader.get([made.id])[made.id].labels == {"k": small}
    assert reader.find_requests(NUL, [NUL]) == {}
    with database.connect() as connection:
        assert connection.execute(sa.select(task_labels.c.value)).scalar_one() == (
            small if database.is_sqlite else small.replace("\x00", "\\x00")
        )


@pytest.mark.parametrize("data", [b"", b"\x00\xff\\x00", bytes(range(256)) * 4096])
def test_payloads_come_back_byte_by_byte(database: Database, reader: Reader, data: bytes) -> None:
    made = submit(database, new_task(content=data))
    task = claimed(database, made.id, worker(database))
    assert task.input is not None
    assert task.input.data == data
    succeed(database, task, data)
    assert reader.get([made.id])[made.id].result == Payload("acme.v1.ShrinkResponse", data)


def test_the_longest_durations_fit(database: Database) -> None:
    longest = TaskOptions(
        queue="images",
        start_timeout=MAX_DURATION,
        attempt_timeout=MAX_DURATION,
        total_timeout=MAX_DURATION,
        result_ttl=MAX_DURATION,
    )
    ahead = MAX_DURATION // timedelta(seconds=1)
    task = running(database, new_task(database.clock.now_us(), opts=longest))
    assert succeed(database, task) is not None
    later = submit(database, new_task(database.clock.now_us(), opts=longest, delay_s=ahead))
    assert later.state == State.SCHEDULED
    check_invariants(database, [task.id, later.id])
