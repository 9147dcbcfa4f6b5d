"""Deleting and retrying ended tasks, retention, and what callers and watchers learn of it."""

from __future__ import annotations

import asyncio

import grpc
import pytest
import sqlalchemy as sa
from google.protobuf.any_pb2 import Any

from taskwire.v1 import options_pb2, task_pb2
from taskwire.v1 import task_service_pb2 as pb
from taskwire_broker.topology import broker_queue
from taskwire_core.ids import from_text
from taskwire_core.lifecycle import State
from taskwire_core.sizes import StoreSizes
from taskwire_core.task import Deleted, Task
from taskwire_db import operations as ops
from taskwire_db.models import task_inputs
from taskwire_gateway.keeper.retention import CHUNK, LOOK_S, Retention
from tests.gateway.running import NOT_THERE, SHRINK, Running, Worker, refusal
from tests.support.eventually import eventually_async


@pytest.fixture
def database_url(store_url: str) -> str:
    return store_url


UNKNOWN = "01a204aa-0000-7000-8000-000000000000"
Closed = pb.Closed


def ended_and_deleted(running: Running, task_id: str) -> list[Task | Deleted]:
    """What the end and the delete of a task changed, in one transaction; nobody is told."""
    with running.foundation.database.transaction() as transaction:
        ops.cancel(transaction, [ops.CancelRequest(from_text(task_id), "dev", "", "dev")])
        ops.delete(transaction, [ops.DeleteRequest(from_text(task_id), "dev")])
        return transaction.changed


async def ended(running: Running, **fields: object) -> str:
    """The id of a task that was cancelled."""
    task_id = await running.submitted(**fields)
    await running.tasks.CancelTask(pb.CancelTaskRequest(id=task_id))
    return task_id


async def deleted(running: Running) -> str:
    """The id of a task that was deleted."""
    await running.tasks.DeleteTask(pb.DeleteTaskRequest(id=(task_id := await ended(running))))
    return task_id


async def retried(running: Running, task_id: str, **fields: object) -> task_pb2.Task:
    request = pb.RetryTaskRequest(id=task_id, **fields)  # type: ignore[arg-type]  # any field
    return (await running.tasks.RetryTask(request)).task


async def test_a_deleted_task_is_gone_for_every_read(running: Running, worker: Worker) -> None:
    task_id = await running.submitted()
    held = await worker.claim(task_id)
    await worker.succeed(held, running.message("acme.v1.ShrinkResponse", url="small"))
    assert running.foundation.bus.recall([held.id])
    await running.tasks.DeleteTask(pb.DeleteTaskRequest(id=task_id))
    assert not running.foundation.bus.recall([held.id])
    watch = running.tasks.WatchTask(pb.WatchTaskRequest(id=task_id))
    for call in (
        running.tasks.GetTask(pb.GetTaskRequest(id=task_id)),
        running.tasks.WaitTask(pb.WaitTaskRequest(id=task_id)),
        running.tasks.CancelTask(pb.CancelTaskRequest(id=task_id)),
        running.tasks.DeleteTask(pb.DeleteTaskRequest(id=task_id)),
        anext(watch.__aiter__()),
    ):
        refused = await refusal(call)
        assert refused.code is grpc.StatusCode.NOT_FOUND
        assert refused.reason == "TASK_NOT_FOUND"
        assert refused.resource == task_id


async def test_a_task_that_has_not_ended_is_not_deleted(running: Running, worker: Worker) -> None:
    task_id = await running.submitted()
    await worker.claim(task_id)
    refused = await refusal(running.tasks.DeleteTask(pb.DeleteTaskRequest(id=task_id)))
    assert refused.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refused.reason == "TASK_NOT_ENDED"
    assert refused.metadata == {"id": task_id, "state": "RUNNING"}
    assert "cancel it, then delete it" in refused.message
    assert (await running.tasks.GetTask(pb.GetTaskRequest(id=task_id))).task.version == 2


@pytest.mark.parametrize("method", ["DeleteTask", "RetryTask"])
async def test_an_id_that_is_none_is_refused_and_another_users_is_not_found(
    running: Running, method: str
) -> None:
    kind = pb.DeleteTaskRequest if method == "DeleteTask" else pb.RetryTaskRequest
    call = getattr(running.tasks, method)
    refused = await refusal(call(kind(id="nonsense")))
    assert (refused.reason, [*refused.violations]) == ("FIELD_VIOLATION", ["id"])
    task_id = await ended(running)
    with running.foundation.database.transaction() as transaction:
        transaction.connection.exec_driver_sql("UPDATE tasks SET owner = 'ann'")
    foreign = await refusal(call(kind(id=task_id)))
    missing = await refusal(call(kind(id=UNKNOWN)))
    assert foreign.reason == missing.reason == "TASK_NOT_FOUND"
    assert foreign.code is missing.code is grpc.StatusCode.NOT_FOUND


async def test_a_watch_in_progress_is_closed_as_deleted(running: Running, worker: Worker) -> None:
    task_id = await running.submitted()
    call = running.tasks.WatchTask(pb.WatchTaskRequest(id=task_id), timeout=20)
    messages = call.__aiter__()
    await anext(messages)
    running.foundation.announcer.announce(ended_and_deleted(running, task_id)[1:])
    last = [message async for message in messages][-1]
    assert last.closed.reason == Closed.REASON_DELETED
    assert await call.code() is grpc.StatusCode.OK


async def test_a_watch_whose_gateway_missed_the_delete_is_closed_when_it_hears_again(
    running: Running,
) -> None:
    task_id = await running.submitted()
    call = running.tasks.WatchTask(pb.WatchTaskRequest(id=task_id), timeout=20)
    messages = call.__aiter__()
    await anext(messages)
    ended_and_deleted(running, task_id)
    running.gateway._hub.resync()
    last = [message async for message in messages][-1]
    assert last.closed.reason == Closed.REASON_DELETED


async def test_a_wait_for_a_task_that_is_deleted_ends_with_not_found(running: Running) -> None:
    task_id = await running.submitted()
    wait = asyncio.ensure_future(running.tasks.WaitTask(pb.WaitTaskRequest(id=task_id)))
    await eventually_async(lambda: running.gateway._hub.watchers == 1)
    running.foundation.announcer.announce(ended_and_deleted(running, task_id)[1:])
    assert (await refusal(wait)).reason == "TASK_NOT_FOUND"


async def test_a_watch_that_is_resumed_after_the_delete_is_closed_as_deleted(
    running: Running,
) -> None:
    task_id = await deleted(running)
    call = running.tasks.WatchTask(pb.WatchTaskRequest(id=task_id, after_version=1))
    (only,) = [message async for message in call]
    assert only.closed.reason == Closed.REASON_DELETED
    assert await call.code() is grpc.StatusCode.OK
    stranger = running.tasks.WatchTask(pb.WatchTaskRequest(id=UNKNOWN, after_version=1))
    assert (await refusal(anext(stranger.__aiter__()))).reason == "TASK_NOT_FOUND"


async def test_retention_deletes_ended_tasks_when_their_time_has_come(running: Running) -> None:
    soon = options_pb2.TaskOverrides()
    soon.result_ttl.FromMilliseconds(1)
    task_id, kept = await ended(running, overrides=soon), await ended(running)
    ids, reader = [from_text(task_id), from_text(kept)], running.foundation.reader
    await eventually_async(lambda: reader.get(ids).keys() == {from_text(kept)})
    assert (await running.gateway._store.ended.sizes()).tasks[State.CANCELLED] == 1


class Rows:
    """Ended tasks that are due, as many as a test says."""

    def __init__(self, due: int) -> None:
        self.due = due
        self.asked = 0

    async def delete_expired(self, limit: int) -> int:
        self.asked += 1
        done = min(limit, self.due)
        self.due -= done
        return done

    async def prune_changes(self) -> bool:
        return False

    async def forget_leftovers(self) -> int:
        return 0

    async def sizes(self) -> StoreSizes:
        return StoreSizes(1, {}, None)


class Clock:
    def now_us(self) -> int:
        return 0


async def test_retention_goes_on_at_once_while_there_is_more_than_a_chunk() -> None:
    rows = Rows(3 * CHUNK + 1)
    retention = Retention(rows, leads=lambda: True, clock=Clock())
    pauses = [await retention._step() for _ in range(4)]
    assert rows.due == 0
    assert all(pause < LOOK_S for pause in pauses[:3])
    assert pauses[3] == LOOK_S


async def test_retention_rests_where_another_gateway_leads_and_where_it_is_off() -> None:
    rows = Rows(CHUNK)
    off = Retention(rows, leads=lambda: True, clock=Clock(), tasks=False)
    assert await off._step() == LOOK_S
    follower = Retention(rows, leads=lambda: False, clock=Clock())
    follower.loop.start()
    await asyncio.sleep(0)
    await follower.loop.close()
    assert rows.asked == 0


async def test_a_retry_is_a_new_task_with_what_the_old_one_had(
    running: Running, worker: Worker
) -> None:
    overrides = options_pb2.TaskOverrides(queue="elsewhere")
    task_id = await ended(running, overrides=overrides, labels={"customer": "acme"})
    task = await retried(running, task_id)
    found = (await running.tasks.GetTask(pb.GetTaskRequest(id=task.id))).task
    assert found.id != task_id
    assert found.retry_of == task_id
    assert found.state == task_pb2.TASK_STATE_QUEUED
    assert found.labels == {"customer": "acme"}
    assert found.options.queue == "elsewhere"
    assert found.input.value == running.shrink().SerializeToString(deterministic=True)
    assert (await running.tasks.GetTask(pb.GetTaskRequest(id=task_id))).task.version == 2


async def test_a_retry_is_dispatched_at_once(running: Running, worker: Worker) -> None:
    task_id = await running.submitted(require_worker=True)
    held = await worker.claim(task_id)
    await worker.fail(held, NOT_THERE)
    exchange, deployment_id = running.foundation.exchange, running.foundation.deployment_id
    queue = broker_queue("images", deployment_id)
    await eventually_async(lambda: exchange.ready(queue) == 1)
    running.gateway._keeper.leads = False
    await running.gateway._keeper.stop()
    await retried(running, task_id)
    await eventually_async(lambda: exchange.ready(queue) == 2)


async def test_a_retry_may_have_another_input(running: Running) -> None:
    packed = Any()
    packed.Pack(running.shrink(width=99))
    task = await retried(running, await ended(running), input=packed)
    found = (await running.tasks.GetTask(pb.GetTaskRequest(id=task.id))).task
    assert found.input.value == running.shrink(width=99).SerializeToString(deterministic=True)


async def test_another_input_that_is_not_valid_is_refused(running: Running) -> None:
    packed = Any()
    packed.Pack(running.shrink(url="nonsense"))
    task_id = await ended(running)
    refused = await refusal(running.tasks.RetryTask(pb.RetryTaskRequest(id=task_id, input=packed)))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (refused.reason, [*refused.violations]) == ("FIELD_VIOLATION", ["input.url"])
    wrong = Any(type_url="type.googleapis.com/acme.v1.Nonsense")
    refused = await refusal(running.tasks.RetryTask(pb.RetryTaskRequest(id=task_id, input=wrong)))
    assert refused.reason == "WRONG_INPUT_TYPE"


async def test_an_old_input_that_is_not_valid_any_more_is_refused_in_words(
    running: Running,
) -> None:
    task_id = await ended(running)
    bad = running.shrink(url="nonsense").SerializeToString()
    with running.foundation.database.transaction() as transaction:
        transaction.connection.execute(sa.update(task_inputs).values(data=bad))
    refused = await refusal(running.tasks.RetryTask(pb.RetryTaskRequest(id=task_id)))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [*refused.violations] == ["input.url"]
    assert "retry it with another input" in refused.message


async def test_a_type_that_is_not_loaded_any_more_is_not_found(running: Running) -> None:
    task_id = await ended(running)
    running.contracts.types.pop(SHRINK)  # type: ignore[attr-defined]  # it is a dict
    refused = await refusal(running.tasks.RetryTask(pb.RetryTaskRequest(id=task_id)))
    assert refused.code is grpc.StatusCode.NOT_FOUND
    assert refused.reason == "TASK_TYPE_NOT_FOUND"
    assert refused.metadata == {"type": SHRINK}
    assert "load its contract" in refused.message


async def test_a_live_task_is_not_retried(running: Running) -> None:
    task_id = await running.submitted()
    refused = await refusal(running.tasks.RetryTask(pb.RetryTaskRequest(id=task_id)))
    assert refused.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refused.reason == "TASK_NOT_ENDED"
    assert refused.metadata == {"id": task_id, "state": "QUEUED"}
    assert "cancel it, then retry it" in refused.message


async def test_the_same_retry_is_made_once_even_when_the_old_task_is_gone(
    running: Running,
) -> None:
    task_id = await ended(running)
    first = await retried(running, task_id, request_id="again")
    assert (await retried(running, task_id, request_id="again")).id == first.id
    await running.tasks.DeleteTask(pb.DeleteTaskRequest(id=task_id))
    assert (await retried(running, task_id, request_id="again")).id == first.id


async def test_a_request_id_of_another_retry_or_submission_is_refused(running: Running) -> None:
    one, other = await ended(running), await ended(running, request_id="mine")
    await retried(running, one, request_id="again")
    for task_id, request_id in ((other, "again"), (one, "mine")):
        refused = await refusal(
            running.tasks.RetryTask(pb.RetryTaskRequest(id=task_id, request_id=request_id))
        )
        assert refused.code is grpc.StatusCode.ALREADY_EXISTS
        assert refused.reason == "REQUEST_ID_REUSED"
        assert refused.metadata == {"requestId": request_id}
        assert [*refused.violations] == ["request_id"]
    packed = Any()
    packed.Pack(running.shrink(width=99))
    refused = await refusal(
        running.tasks.RetryTask(pb.RetryTaskRequest(id=one, request_id="again", input=packed))
    )
    assert refused.reason == "REQUEST_ID_REUSED"


async def test_a_bad_request_id_is_refused(running: Running) -> None:
    request = pb.RetryTaskRequest(id=UNKNOWN, request_id="x" * 129)
    refused = await refusal(running.tasks.RetryTask(request))
    assert (refused.reason, [*refused.violations]) == ("FIELD_VIOLATION", ["request_id"])


async def test_many_retries_and_deletes_at_once_share_their_commits(running: Running) -> None:
    ids = [await ended(running) for _ in range(20)]
    made = await asyncio.gather(*(retried(running, task_id) for task_id in ids))
    assert len({task.id for task in made}) == 20
    await asyncio.gather(
        *(running.tasks.DeleteTask(pb.DeleteTaskRequest(id=task_id)) for task_id in ids)
    )
    sizes = await running.gateway._store.ended.sizes()
    assert sizes.tasks[State.CANCELLED] == 0
    assert sizes.tasks[State.QUEUED] == 20
