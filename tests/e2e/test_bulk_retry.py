"""50,000 failed tasks are retried in bulk; kill -9 in the middle makes it neither more nor less."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import grpc
import pytest
import sqlalchemy as sa
from google.longrunning import operations_pb2 as lro
from google.longrunning import operations_pb2_grpc

from taskwire.examples.v1 import demo_tasks_pb2
from taskwire.v1 import bulk_task_service_pb2 as pb
from taskwire.v1 import bulk_task_service_pb2_grpc
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
from tests.support.eventually import eventually

COUNT = 50_000
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


def operation(server: EmbeddedServer, name: str, *, wait_s: int) -> lro.Operation:
    """The operation, waited for up to `wait_s` seconds."""
    request = lro.WaitOperationRequest(name=name)
    request.timeout.FromSeconds(wait_s)
    with grpc.insecure_channel(server.address) as channel:
        stub: Any = operations_pb2_grpc.OperationsStub(channel)  # type: ignore[no-untyped-call]  # untyped there
        found: lro.Operation = stub.WaitOperation(request, timeout=wait_s + 10)
    return found


def done(found: lro.Operation) -> int:
    metadata = pb.BulkOperationMetadata()
    assert found.metadata.Unpack(metadata)
    assert metadata.total_count == COUNT
    return metadata.done_count


def begin(server: EmbeddedServer) -> str:
    """The name of an operation that retries all that has failed."""
    request = pb.BulkRetryTasksRequest(filter='state = FAILED AND labels.customer = "acme"')
    with grpc.insecure_channel(server.address) as channel:
        stub = bulk_task_service_pb2_grpc.BulkTaskServiceStub(channel)
        assert stub.BulkRetryTasks(request).preview.task_count == COUNT
        request.force = True
        return stub.BulkRetryTasks(request).operation.name


@pytest.mark.servers
def test_50000_retries_that_kill_9_cuts_are_exactly_50000(server: EmbeddedServer) -> None:
    failed = seed(server)
    server.start()
    name = begin(server)
    eventually(lambda: done(operation(server, name, wait_s=0)) >= COUNT // 5, within=60)
    server.kill()
    server.start()
    resumed = operation(server, name, wait_s=0)
    assert not resumed.done
    assert COUNT // 5 <= done(resumed) < COUNT
    ended = eventually(lambda: (op := operation(server, name, wait_s=40)).done and op, within=60)
    response = pb.BulkOperationResponse()
    assert ended
    assert ended.response.Unpack(response)
    assert response == pb.BulkOperationResponse(done_count=COUNT)
    server.kill()
    database = Database(f"sqlite:///{server.data / 'taskwire.db'}")
    with database.connect() as connection:
        found = connection.execute(
            sa.select(tasks.c.retry_of).where(tasks.c.retry_of.is_not(None))
        ).scalars()
        retried = [bytes(key) for key in found]
        counted = connection.execute(
            sa.select(task_counters.c.count).where(task_counters.c.state == State.QUEUED)
        ).scalars()
        assert sum(counted) == COUNT
    database.close()
    assert len(retried) == COUNT
    assert set(retried) == failed
