"""QueueService and RunTask over the real store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TypeAlias

import grpc
import pytest

from taskwire.v1 import queue_service_pb2 as pb
from taskwire.v1 import queue_service_pb2_grpc, task_pb2, task_service_pb2
from taskwire_broker.topology import broker_queue
from taskwire_contracts import Contracts
from taskwire_core.ids import from_text
from taskwire_db import operations as ops
from taskwire_gateway.embedded import Foundation, surroundings
from taskwire_gateway.gateway import Gateway, Tuning
from tests.gateway.conftest import LIMITS
from tests.gateway.running import NOT_THERE, Running, Worker, refusal
from tests.support.eventually import eventually_async

MISSING = "0199e1c2-7a55-7d0f-8000-0f8d7b1c2a11"

Stub: TypeAlias = "queue_service_pb2_grpc.QueueServiceAsyncStub"


@pytest.fixture
def queues(running: Running) -> Stub:
    stub: Stub = queue_service_pb2_grpc.QueueServiceStub(running.channel)
    return stub


@pytest.fixture
async def second(foundation: Foundation, contracts: Contracts) -> AsyncIterator[Running]:
    """Another gateway over the same store and broker."""
    gateway = Gateway(surroundings(contracts, foundation), Tuning(limits=LIMITS))
    port = await gateway.start("127.0.0.1:0")
    address = f"127.0.0.1:{port}"
    async with grpc.aio.insecure_channel(address) as channel:
        yield Running(gateway, foundation, contracts, channel, address)
    await gateway.close()


def messages(running: Running) -> int:
    foundation = running.foundation
    return foundation.exchange.ready(broker_queue("images", foundation.deployment_id))


async def begins(running: Running, worker: Worker, task_id: str) -> bool:
    """Whether an attempt begins when the worker meets the task's message."""
    request = ops.ClaimRequest(from_text(task_id), worker.id)
    return await running.foundation.writer.call(ops.claim, request) is not None


async def pending(running: Running, task_id: str) -> task_pb2.PendingReason.ValueType:
    request = task_service_pb2.GetTaskRequest(id=task_id)
    return (await running.tasks.GetTask(request)).task.pending_reason


async def test_a_queue_shows_its_depth_its_workers_and_its_rates(
    running: Running, worker: Worker, queues: Stub
) -> None:
    done = await worker.claim(await running.submitted())
    await worker.succeed(done, running.message("acme.v1.ShrinkResponse"))
    await worker.fail(await worker.claim(await running.submitted()), NOT_THERE)
    await worker.claim(await running.submitted())
    await running.submitted()
    later = running.request()
    later.delay.FromSeconds(60)
    await running.tasks.SubmitTask(later)
    queue = (await queues.GetQueue(pb.GetQueueRequest(name="images"))).queue
    depths = (queue.queued_count, queue.scheduled_count, queue.retrying_count, queue.running_count)
    assert depths == (1, 1, 0, 1)
    assert (queue.live_workers, queue.slots) == (1, 8)
    assert not queue.HasField("pause")
    assert queue.oldest_due_time.seconds > 1_700_000_000
    assert queue.oldest_due_age.ToTimedelta().total_seconds() < 60
    rates = queue.rates
    assert 0 < rates.failed == rates.succeeded < rates.started < rates.submitted < 1


async def test_the_queue_of_a_task_type_is_there_before_its_first_task(queues: Stub) -> None:
    listed = (await queues.ListQueues(pb.ListQueuesRequest())).queues
    assert "images" in {queue.name for queue in listed}
    paused = await queues.PauseQueue(pb.PauseQueueRequest(name="images", reason="bad deploy"))
    assert paused.effective
    assert (paused.queue.pause.paused_by, paused.queue.pause.reason) == ("dev", "bad deploy")
    assert not paused.queue.HasField("oldest_due_time")


async def test_queues_are_listed_by_name_page_by_page(running: Running, queues: Stub) -> None:
    for name in ("b", "a", "c"):
        request = running.request()
        request.overrides.queue = name
        await running.tasks.SubmitTask(request)
    seen: list[str] = []
    token = ""
    while True:
        page = await queues.ListQueues(pb.ListQueuesRequest(page_size=2, page_token=token))
        assert len(page.queues) <= 2
        seen += [queue.name for queue in page.queues]
        token = page.next_page_token
        if not token:
            break
    assert seen == sorted(seen)
    assert {"a", "b", "c", "images"} <= set(seen)


async def test_a_page_token_of_something_else_is_refused(queues: Stub) -> None:
    found = await refusal(queues.ListQueues(pb.ListQueuesRequest(page_token="images")))
    assert (found.code, found.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_PAGE_TOKEN",
    )


@pytest.mark.parametrize("method", ["GetQueue", "PauseQueue", "ResumeQueue"])
async def test_a_queue_that_nobody_has_heard_of_is_not_found_with_near_matches(
    queues: Stub, method: str
) -> None:
    request = getattr(pb, f"{method}Request")(name="image")
    found = await refusal(getattr(queues, method)(request))
    assert (found.code, found.reason) == (grpc.StatusCode.NOT_FOUND, "QUEUE_NOT_FOUND")
    assert found.message == "There is no queue image; did you mean images?"
    assert found.metadata == {"queue": "image", "near": "images"}
    assert found.resource == "image"


async def test_a_name_that_resembles_nothing_points_at_the_list(queues: Stub) -> None:
    found = await refusal(queues.GetQueue(pb.GetQueueRequest(name="zzz")))
    assert found.message == "There is no queue zzz; see ListQueues."


@pytest.mark.parametrize(
    ("method", "fields", "field"),
    [
        ("GetQueue", {}, "name"),
        ("PauseQueue", {"name": "x" * 129}, "name"),
        ("PauseQueue", {"name": "images", "reason": "x" * 1001}, "reason"),
        ("ResumeQueue", {"name": ""}, "name"),
        ("ListQueues", {"page_size": -1}, "page_size"),
        ("ListQueues", {"page_size": 1001}, "page_size"),
    ],
)
async def test_a_field_that_breaks_its_rule_is_named(
    queues: Stub, method: str, fields: dict[str, object], field: str
) -> None:
    request = getattr(pb, f"{method}Request")(**fields)
    found = await refusal(getattr(queues, method)(request))
    assert (found.code, found.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_VIOLATION")
    assert field in found.violations


async def test_a_paused_queue_accepts_and_dispatches_nothing_until_it_is_resumed(
    running: Running, worker: Worker, queues: Stub
) -> None:
    await queues.PauseQueue(pb.PauseQueueRequest(name="images"))
    task_id = await running.submitted()
    assert await pending(running, task_id) == task_pb2.PENDING_REASON_QUEUE_PAUSED
    assert messages(running) == 0
    assert not await begins(running, worker, task_id)
    resumed = await queues.ResumeQueue(pb.ResumeQueueRequest(name="images"))
    assert resumed.effective
    assert not resumed.queue.HasField("pause")
    await eventually_async(lambda: messages(running) == 1)
    assert await pending(running, task_id) != task_pb2.PENDING_REASON_QUEUE_PAUSED
    assert await begins(running, worker, task_id)


async def test_after_a_pause_no_message_that_somebody_holds_begins_an_attempt(
    running: Running, second: Running, worker: Worker, queues: Stub
) -> None:
    # Both gateways have published, and their messages are with a worker or the broker.
    held = [await gateway.submitted() for gateway in (running, second) for _ in range(3)]
    await eventually_async(lambda: messages(running) == len(held))
    await queues.PauseQueue(pb.PauseQueueRequest(name="images"))
    # The other gateway has not heard of it, and may publish a little longer.
    held.append(await second.submitted())
    assert not any([await begins(second, worker, task_id) for task_id in held])
    queue = (await queues.GetQueue(pb.GetQueueRequest(name="images"))).queue
    assert (queue.queued_count, queue.running_count) == (len(held), 0)
    before = messages(running)
    await queues.ResumeQueue(pb.ResumeQueueRequest(name="images"))
    # What met the pause has lost its message, and gets another one.
    await eventually_async(lambda: messages(running) == before + len(held))
    assert all([await begins(running, worker, task_id) for task_id in held])


async def test_a_second_pause_and_a_second_resume_change_nothing(queues: Stub) -> None:
    first = await queues.PauseQueue(pb.PauseQueueRequest(name="images", reason="one"))
    again = await queues.PauseQueue(pb.PauseQueueRequest(name="images", reason="two"))
    assert not again.effective
    assert again.queue.pause == first.queue.pause
    await queues.ResumeQueue(pb.ResumeQueueRequest(name="images"))
    assert not (await queues.ResumeQueue(pb.ResumeQueueRequest(name="images"))).effective


async def test_a_scheduled_task_is_run_now(running: Running, worker: Worker) -> None:
    request = running.request()
    request.delay.FromSeconds(3600)
    task_id = (await running.tasks.SubmitTask(request)).task.id
    answer = await running.tasks.RunTask(task_service_pb2.RunTaskRequest(id=task_id))
    assert answer.effective
    assert (answer.task.state, answer.task.version) == (task_pb2.TASK_STATE_QUEUED, 2)
    await eventually_async(lambda: messages(running) == 1)
    again = await running.tasks.RunTask(task_service_pb2.RunTaskRequest(id=task_id))
    assert not again.effective
    assert again.task.version == 2


async def test_a_task_that_runs_or_has_ended_cannot_be_run_now(
    running: Running, worker: Worker
) -> None:
    task = await worker.claim(task_id := await running.submitted())
    request = task_service_pb2.RunTaskRequest(id=task_id)
    found = await refusal(running.tasks.RunTask(request))
    assert (found.code, found.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "TASK_NOT_WAITING",
    )
    assert found.message == f"The task {task_id} does not wait: it runs already."
    assert found.metadata == {"id": task_id, "state": "RUNNING"}
    await worker.succeed(task, running.message("acme.v1.ShrinkResponse"))
    found = await refusal(running.tasks.RunTask(request))
    assert found.message == f"The task {task_id} does not wait: it has ended; retry it instead."


async def test_a_task_that_is_not_there_cannot_be_run_now(running: Running) -> None:
    request = task_service_pb2.RunTaskRequest(id=MISSING)
    found = await refusal(running.tasks.RunTask(request))
    assert (found.code, found.reason) == (grpc.StatusCode.NOT_FOUND, "TASK_NOT_FOUND")
    bad = await refusal(running.tasks.RunTask(task_service_pb2.RunTaskRequest(id="17")))
    assert bad.reason == "FIELD_VIOLATION"
