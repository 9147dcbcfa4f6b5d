"""50,000 failed tasks are retried in bulk; kill -9 in the middle makes it neither more nor less."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
import sqlalchemy as sa
from google.longrunning.operations_pb2 import Operation

from taskwire.client import Client
from taskwire.examples.v1 import demo_tasks_pb2
from taskwire.v1 import bulk_task_service_pb2 as pb
from taskwire_core.ids import new_id
from taskwire_core.lifecycle import State
from taskwire_core.options import TaskOptions
from taskwire_core.task import NewTask, Payload
from taskwire_db import schema
from taskwire_db.database import Database, Transaction
from taskwire_db.group import RowInsert
from taskwire_db.models import task_counters, task_inputs, task_labels, tasks
from taskwire_db.rows import new_task, task_row
from tests.support.embedded import EmbeddedServer

COUNT = 50_000
FILTER = 'state = FAILED AND labels.customer = "acme"'
TYPE = "taskwire.examples.v1.DemoTasks/Sleep"
# Nobody works on this queue: what counts here is that each is submitted, not that it runs.
OPTIONS = TaskOptions(queue="nobody-works-here")


@pytest.fixture
def server() -> Iterator[EmbeddedServer]:
    found = EmbeddedServer()
    yield found
    found.close()


def seed(server: EmbeddedServer) -> set[bytes]:
    """A database with as many failed tasks; their ids."""
    server.data.mkdir(parents=True)
    database = Database(f"sqlite:///{server.data / 'taskwire.db'}")
    schema.upgrade(database)
    made = [_new(database.clock.now_us()) for _ in range(COUNT)]
    database.execute(_record_failed, made)
    database.checkpoint()
    database.close()
    return {task.id for task in made}


def _new(now_us: int) -> NewTask:
    request = demo_tasks_pb2.SleepRequest()
    request.duration.FromMilliseconds(10)
    return NewTask(
        id=new_id(),
        type=TYPE,
        owner="dev",
        input=Payload(request.DESCRIPTOR.full_name, request.SerializeToString()),
        options=OPTIONS,
        create_time_us=now_us,
        schedule_time_us=now_us,
        labels={"customer": "acme"},
    )


def _record_failed(tx: Transaction, groups: Sequence[Sequence[NewTask]]) -> list[None]:
    """As they would be after an attempt, but for their history: in a second, not in a minute."""
    for new in groups:
        rows = [
            task_row(tx, new_task(task, tx.now_us), gateway_id=None, request_id=None)
            for task in new
        ]
        RowInsert(tasks).run(tx.connection, rows)
        inputs = [(task.id, task.input.type_name, task.input.data) for task in new]
        RowInsert(task_inputs).run(tx.connection, inputs)
        labels = [("customer", "acme", task.id) for task in new]
        RowInsert(task_labels).run(tx.connection, labels)
        count = (TYPE, OPTIONS.queue, "dev", int(State.FAILED), 0, len(new))
        RowInsert(task_counters).run(tx.connection, [count])
    ended = {"state": State.FAILED, "version": tasks.c.version + 1, "end_time": tx.now_us}
    tx.connection.execute(
        sa.update(tasks).values(**ended, delete_time=tx.now_us + tasks.c.result_ttl)
    )
    return [None] * len(groups)


def done(found: Operation) -> int:
    metadata = pb.BulkOperationMetadata()
    assert found.metadata.Unpack(metadata)
    assert metadata.total_count == COUNT
    return metadata.done_count


@pytest.mark.servers
def test_50000_retries_that_kill_9_cuts_are_exactly_50000(server: EmbeddedServer) -> None:
    failed = seed(server)
    server.start()
    with Client(server.address) as client:
        preview = client.bulk.retry(FILTER)
        assert isinstance(preview, pb.BulkPreview)
        assert preview.task_count == COUNT
        begun = client.bulk.retry(FILTER, force=True)
        assert isinstance(begun, Operation)
        seen = [0]
        for found in client.operations.follow(begun.name, every_s=0.2):
            if seen[-1] < COUNT // 5 <= done(found):
                assert not found.done
                server.kill()
                server.start()
            seen.append(done(found))
        assert seen == sorted(seen)
        response = pb.BulkOperationResponse()
        assert found.response.Unpack(response)
        assert response == pb.BulkOperationResponse(done_count=COUNT)
    server.kill()
    assert sorted(repeated(server)) == sorted(failed)


def repeated(server: EmbeddedServer) -> list[bytes]:
    """Which task each new one repeats; the counters know as many."""
    database = Database(f"sqlite:///{server.data / 'taskwire.db'}")
    with database.connect() as connection:
        found = connection.execute(
            sa.select(tasks.c.retry_of).where(tasks.c.retry_of.is_not(None))
        ).scalars()
        retried = [bytes(key) for key in found]
        counted = connection.execute(
            sa.select(task_counters.c.count).where(task_counters.c.state == State.QUEUED)
        ).scalars()
        assert sum(counted) == len(retried)
    database.close()
    return retried
