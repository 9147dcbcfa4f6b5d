"""The steps that tests of the store take, each in a transaction of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from taskwire_core import recovery
from taskwire_core.errors import StoreUnavailable
from taskwire_core.failure import Code, Failure, FailureKind
from taskwire_core.follow_up import Condition
from taskwire_core.ids import new_id
from taskwire_core.options import RetryPolicy, TaskOptions
from taskwire_core.task import FollowUp, NewTask, Payload, Task
from taskwire_db import operations as ops
from taskwire_db.clock import Moment
from taskwire_db.database import Database
from taskwire_db.turnstile import Turnstile

SECOND = 1_000_000
START_US = 1_700_000_000 * SECOND
TTL_US = 20 * SECOND


class ManualClock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.boot = "boot-1"
        self.wall_us = START_US
        self.uptime_us = SECOND

    def now_us(self) -> int:
        return self.wall_us

    def moment(self, connection: sa.Connection) -> Moment:
        return Moment(self.wall_us, self.uptime_us, self.boot)

    def advance(self, seconds: float) -> None:
        self.wall_us += round(seconds * SECOND)
        self.uptime_us += round(seconds * SECOND)


def options(
    *,
    max_attempts: int = 5,
    start_timeout: float | None = None,
    total_timeout: float | None = None,
    at_most_once: bool = False,
    queue: str = "images",
) -> TaskOptions:
    """Task options with a backoff of exactly one second."""
    return TaskOptions(
        queue=queue,
        retry=RetryPolicy(
            max_attempts=max_attempts,
            initial_backoff=timedelta(seconds=1),
            backoff_multiplier=1.0,
            jitter=0.0,
        ),
        start_timeout=None if start_timeout is None else timedelta(seconds=start_timeout),
        attempt_timeout=timedelta(seconds=60),
        total_timeout=None if total_timeout is None else timedelta(seconds=total_timeout),
        at_most_once=at_most_once,
    )


def new_task(
    now_us: int = START_US,
    *,
    opts: TaskOptions | None = None,
    delay_s: float = 0,
    request_id: str | None = None,
    content: bytes = b"content",
    owner: str = "dev",
    labels: dict[str, str] | None = None,
    follow_ups: tuple[FollowUp, ...] = (),
) -> NewTask:
    return NewTask(
        id=new_id(),
        type="acme.v1.Images/Shrink",
        owner=owner,
        input=Payload("acme.v1.ShrinkRequest", content),
        options=opts or options(),
        create_time_us=now_us,
        schedule_time_us=now_us + round(delay_s * SECOND),
        request_id=request_id,
        request_hash=content.ljust(32)[:32],
        labels=labels or {},
        follow_ups=follow_ups,
    )


def follow_up(condition: Condition, *follow_ups: FollowUp, **changed: Any) -> FollowUp:
    """A follow-up on that condition, with whatever fields are given."""
    plan = FollowUp(
        condition=condition,
        type="acme.v1.Images/Shrink",
        input=Payload("acme.v1.ShrinkRequest", condition.name.encode()),
        options=options(),
        follow_ups=follow_ups,
    )
    return replace(plan, **changed)


EACH_CONDITION = tuple(follow_up(condition) for condition in Condition)


def unit(*tasks: NewTask, gateway_id: bytes | None = None) -> ops.SubmitUnit:
    return ops.SubmitUnit(tuple(ops.Submission(task, gateway_id) for task in tasks))


def submit(database: Database, task: NewTask, *, gateway_id: bytes | None = None) -> Task:
    result = database.execute(ops.submit, unit(task, gateway_id=gateway_id))
    return result.submitted[0].task


def worker(database: Database, *, ttl_us: int | None = TTL_US) -> bytes:
    """A new worker with a live lease."""
    row = ops.WorkerRow(new_id(), "host", 1, 8, ("acme.v1.Images/Shrink",), ("images",), ttl_us)
    database.execute(ops.register_worker, row)
    return row.id


def claim(database: Database, task_id: bytes, worker_id: bytes) -> Task | None:
    return database.execute(ops.claim, ops.ClaimRequest(task_id, worker_id))


def claimed(database: Database, task_id: bytes, worker_id: bytes) -> Task:
    task = claim(database, task_id, worker_id)
    assert task is not None
    return task


def running(database: Database, task: NewTask | None = None) -> Task:
    """A task that a new worker has claimed."""
    made = submit(database, task or new_task(database.clock.now_us()))
    return claimed(database, made.id, worker(database))


def succeed(database: Database, task: Task, data: bytes = b"done") -> Task | None:
    return database.execute(
        ops.settle, recovery.succeeded(task, Payload("acme.v1.ShrinkResponse", data))
    )


def fail(database: Database, task: Task, *, retryable: bool = True) -> Task | None:
    failure = Failure(
        kind=FailureKind.APPLICATION,
        code=Code.UNAVAILABLE if retryable else Code.NOT_FOUND,
        reason="BROKEN",
        message="It broke.",
        retryable=retryable,
    )
    return database.execute(
        ops.settle, recovery.failed(task, failure, now_us=database.clock.now_us())
    )


def cancel(database: Database, task_id: bytes, *, owner: str | None = "dev") -> ops.CancelResult:
    result = database.execute(ops.cancel, ops.CancelRequest(task_id, owner, "enough", "dev"))
    assert result is not None
    return result


_WAITING = sa.text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


def waiting_for_locks(database: Database) -> int:
    """How many transactions wait for another one, on PostgreSQL."""
    with database.connect() as connection:
        found: int = connection.execute(_WAITING).scalar_one()
    return found


@contextmanager
def without_a_turn(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A SQLite database while another process has the writers' turn: the block is to be refused."""
    monkeypatch.setattr("taskwire_db.database.BUSY_TIMEOUT_S", 0.2)
    opened = Database(url)
    with (
        closing(opened),
        Turnstile(opened.url.database, patience_s=1).turn(),
        pytest.raises(StoreUnavailable, match="another process has held it"),
    ):
        yield opened
