"""BulkTaskService, PurgeQueue and google.longrunning.Operations over the real store."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import grpc
import pytest
from google.longrunning import operations_pb2 as lro
from google.longrunning import operations_pb2_grpc

from taskwire.v1 import bulk_task_service_pb2 as pb
from taskwire.v1 import (
    bulk_task_service_pb2_grpc,
    queue_service_pb2,
    queue_service_pb2_grpc,
    task_pb2,
    task_service_pb2,
)
from taskwire_contracts import Contracts
from taskwire_core.bulk import BulkKind, BulkOperation, BulkPreview, BulkScope, NewBulk
from taskwire_core.ids import to_text
from taskwire_core.lifecycle import State
from taskwire_core.listing import TooManyToCount
from taskwire_core.task import NewTask, Task
from taskwire_db import bulk_reading
from taskwire_gateway.adapters.bulk import GatewayBulkStore
from taskwire_gateway.embedded import Foundation, surroundings
from taskwire_gateway.gateway import Gateway, Tuning
from taskwire_gateway.keeper import bulk as runner
from taskwire_gateway.use_cases.bulk import operation_name
from tests.gateway.conftest import LIMITS
from tests.gateway.running import NOT_THERE, Refusal, Running, Worker, refusal
from tests.support.eventually import eventually_async

NOBODY = "operations/0199e1c2-7a55-7d0f-8000-0f8d7b1c2a11"

Stub: TypeAlias = "bulk_task_service_pb2_grpc.BulkTaskServiceAsyncStub"
Response = pb.BulkCancelTasksResponse | pb.BulkRetryTasksResponse | pb.BulkDeleteTasksResponse


class Operations:
    """The standard service, as a program knows it that has never heard of taskwire."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.stub: Any = operations_pb2_grpc.OperationsStub(channel)  # type: ignore[no-untyped-call]  # untyped there

    async def ended(self, begun: lro.Operation) -> lro.Operation:
        """The operation, waited for."""
        request = lro.WaitOperationRequest(name=begun.name)
        request.timeout.FromSeconds(20)
        found: lro.Operation = await self.stub.WaitOperation(request)
        assert found.done
        return found


@pytest.fixture
def bulk(running: Running) -> Stub:
    stub: Stub = bulk_task_service_pb2_grpc.BulkTaskServiceStub(running.channel)
    return stub


@pytest.fixture
def operations(running: Running) -> Operations:
    return Operations(running.channel)


@pytest.fixture
async def second(foundation: Foundation, contracts: Contracts) -> AsyncIterator[Gateway]:
    """Another gateway over the same store, which leads as well: the embedded one always does."""
    gateway = Gateway(surroundings(contracts, foundation), Tuning(limits=LIMITS))
    await gateway.start("127.0.0.1:0")
    yield gateway
    await gateway.close()


def metadata(operation: lro.Operation) -> pb.BulkOperationMetadata:
    found = pb.BulkOperationMetadata()
    assert operation.metadata.Unpack(found)
    return found


def response(operation: lro.Operation) -> pb.BulkOperationResponse:
    found = pb.BulkOperationResponse()
    assert operation.response.Unpack(found)
    return found


async def failed(running: Running, worker: Worker, **fields: Any) -> str:
    task = await worker.claim(await running.submitted(**fields))
    await worker.fail(task, NOT_THERE)
    return to_text(task.id)


async def state(running: Running, task_id: str) -> task_pb2.TaskState.ValueType:
    return (await running.tasks.GetTask(task_service_pb2.GetTaskRequest(id=task_id))).task.state


def repeats(running: Running) -> list[str]:
    """Which task each repetition names, by the store's own word."""
    database = running.foundation.database
    with database.connect() as connection:
        rows = connection.exec_driver_sql("SELECT retry_of FROM tasks WHERE retry_of IS NOT NULL")
        return sorted(to_text(bytes(row[0])) for row in rows)


async def test_without_force_nothing_is_changed_and_the_tasks_are_counted(
    running: Running, bulk: Stub
) -> None:
    ids = [await running.submitted() for _ in range(25)]
    request = pb.BulkCancelTasksRequest(filter="queue = images")
    answer = await bulk.BulkCancelTasks(request)
    assert answer.WhichOneof("outcome") == "preview"
    assert answer.preview.task_count == 25
    assert answer.preview.sample == ids[:20]
    assert await state(running, ids[0]) == task_pb2.TASK_STATE_QUEUED


async def test_a_bulk_cancel_ends_what_waits_and_tells_what_runs(
    running: Running, worker: Worker, bulk: Stub, operations: Operations
) -> None:
    waiting = [await running.submitted(labels={"customer": "acme"}) for _ in range(3)]
    runs = await worker.claim(await running.submitted(labels={"customer": "acme"}))
    other = await running.submitted()
    request = pb.BulkCancelTasksRequest(
        filter='labels.customer = "acme"', reason="they left", force=True
    )
    begun = (await bulk.BulkCancelTasks(request)).operation
    assert begun.name.startswith("operations/")
    assert metadata(begun).total_count == 4
    ended = await operations.ended(begun)
    found = metadata(ended)
    assert (found.kind, found.filter) == (pb.BulkOperationMetadata.KIND_CANCEL, request.filter)
    assert (found.done_count, found.skipped_count, found.failed_count) == (4, 0, 0)
    assert found.create_time.seconds <= found.end_time.seconds
    assert response(ended) == pb.BulkOperationResponse(done_count=4)
    for task_id in waiting:
        answer = await running.tasks.GetTask(task_service_pb2.GetTaskRequest(id=task_id))
        assert answer.task.state == task_pb2.TASK_STATE_CANCELLED
        assert answer.task.cancel_reason == "they left"
    assert await state(running, to_text(runs.id)) == task_pb2.TASK_STATE_CANCELLING
    assert await state(running, other) == task_pb2.TASK_STATE_QUEUED


async def test_a_bulk_retry_submits_every_task_anew_and_dispatches_it(
    running: Running, worker: Worker, bulk: Stub, operations: Operations
) -> None:
    old = sorted([await failed(running, worker, labels={"n": str(n)}) for n in range(5)])
    request = pb.BulkRetryTasksRequest(filter="state = FAILED", force=True)
    ended = await operations.ended((await bulk.BulkRetryTasks(request)).operation)
    assert response(ended) == pb.BulkOperationResponse(done_count=5)
    assert repeats(running) == old
    await eventually_async(lambda: running.foundation.reader.dispatched() == {"images": 5})
    made = running.foundation.reader.get(_new_ids(running), owner="dev").values()
    assert {task.labels["n"] for task in made} == {str(n) for n in range(5)}
    assert {task.state for task in made} == {State.QUEUED}


def _new_ids(running: Running) -> list[bytes]:
    with running.foundation.database.connect() as connection:
        rows = connection.exec_driver_sql("SELECT id FROM tasks WHERE retry_of IS NOT NULL")
        return [bytes(row[0]) for row in rows]


async def test_an_input_that_todays_contract_refuses_is_a_failure_with_its_reason(
    running: Running, worker: Worker, bulk: Stub, operations: Operations
) -> None:
    good, bad = await failed(running, worker), await failed(running, worker)
    data = running.shrink(width=-1).SerializeToString()
    with running.foundation.database.transaction() as tx:
        tx.connection.exec_driver_sql(
            "UPDATE task_inputs SET data = ? WHERE task_id = ?",
            (data, bytes.fromhex(bad.replace("-", ""))),
        )
    request = pb.BulkRetryTasksRequest(filter="state = FAILED", force=True)
    ended = await operations.ended((await bulk.BulkRetryTasks(request)).operation)
    assert response(ended) == pb.BulkOperationResponse(done_count=1, failed_count=1)
    (failure,) = metadata(ended).failures
    assert failure.id == bad
    found = Refusal.of(failure.status)
    assert (found.code, found.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_VIOLATION")
    assert "does not fit its type any more" in found.message
    assert "input.width" in found.message
    assert repeats(running) == [good]


async def test_a_task_that_cannot_be_repeated_for_an_unforeseen_reason_is_a_failure(
    running: Running,
    worker: Worker,
    bulk: Stub,
    operations: Operations,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    good, bad = await failed(running, worker), await failed(running, worker)
    bulk_runner = running.gateway._operators.runner
    repeat = bulk_runner._repeat

    def stumble(old: Task) -> NewTask:
        if to_text(old.id) == bad:
            raise RuntimeError("nobody foresaw it")
        return repeat(old)

    monkeypatch.setattr(bulk_runner, "_repeat", stumble)
    request = pb.BulkRetryTasksRequest(filter="state = FAILED", force=True)
    ended = await operations.ended((await bulk.BulkRetryTasks(request)).operation)
    assert response(ended) == pb.BulkOperationResponse(done_count=1, failed_count=1)
    (failure,) = metadata(ended).failures
    found = Refusal.of(failure.status)
    assert (failure.id, found.code, found.reason) == (bad, grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "foresaw" not in found.message
    assert "nobody foresaw it" in caplog.text
    assert repeats(running) == [good]


async def test_a_bulk_delete_leaves_what_has_not_ended(
    running: Running, worker: Worker, bulk: Stub, operations: Operations
) -> None:
    gone, kept = await failed(running, worker), await running.submitted()
    request = pb.BulkDeleteTasksRequest(filter="queue = images", force=True)
    ended = await operations.ended((await bulk.BulkDeleteTasks(request)).operation)
    assert response(ended) == pb.BulkOperationResponse(done_count=1)
    found = await refusal(running.tasks.GetTask(task_service_pb2.GetTaskRequest(id=gone)))
    assert found.reason == "TASK_NOT_FOUND"
    assert await state(running, kept) == task_pb2.TASK_STATE_QUEUED


async def test_two_leaders_do_every_task_once(
    running: Running,
    second: Gateway,
    worker: Worker,
    bulk: Stub,
    operations: Operations,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runner, "CHUNK", 3)
    monkeypatch.setattr(runner, "REST", 0.0)
    old = sorted([await failed(running, worker) for _ in range(20)])
    request = pb.BulkRetryTasksRequest(filter="state = FAILED", force=True)
    ended = await operations.ended((await bulk.BulkRetryTasks(request)).operation)
    assert response(ended) == pb.BulkOperationResponse(done_count=20)
    assert repeats(running) == old
    assert second is not None


async def test_an_operation_that_stumbles_does_not_hold_up_the_others(
    running: Running, bulk: Stub, operations: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running.gateway._operators.runner.loop, "_idle_s", 0.01)
    first = pb.BulkCancelTasksRequest(filter="queue = images", force=True)
    task_id = await running.submitted()
    work = running.gateway._operators.runner._work
    next_tasks = work.next_tasks

    async def stumble(found: Any, limit: int) -> Any:
        if found.scope.filter == "queue = images":
            raise RuntimeError("a row that cannot be read")
        return await next_tasks(found, limit)

    monkeypatch.setattr(work, "next_tasks", stumble)
    stuck = (await bulk.BulkCancelTasks(first)).operation
    second = pb.BulkCancelTasksRequest(filter="state = QUEUED", force=True)
    await operations.ended((await bulk.BulkCancelTasks(second)).operation)
    assert await state(running, task_id) == task_pb2.TASK_STATE_CANCELLED
    found = await operations.stub.GetOperation(lro.GetOperationRequest(name=stuck.name))
    assert not found.done


async def test_the_same_request_id_is_the_same_operation(running: Running, bulk: Stub) -> None:
    request = pb.BulkDeleteTasksRequest(filter="state = FAILED", force=True, request_id="nightly")
    first = (await bulk.BulkDeleteTasks(request)).operation
    assert (await bulk.BulkDeleteTasks(request)).operation.name == first.name
    request.filter = "state = SUCCEEDED"
    found = await refusal(bulk.BulkDeleteTasks(request))
    assert (found.code, found.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    other = pb.BulkRetryTasksRequest(filter="state = FAILED", force=True, request_id="nightly")
    assert (await refusal(bulk.BulkRetryTasks(other))).reason == "REQUEST_ID_REUSED"


@pytest.mark.parametrize("method", ["BulkCancelTasks", "BulkRetryTasks", "BulkDeleteTasks"])
@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({}, "FIELD_VIOLATION", "filter"),
        ({"filter": "   "}, "FIELD_VIOLATION", "filter"),
        ({"filter": "x" * 4097}, "FIELD_VIOLATION", "filter"),
        ({"filter": "state = FAILD"}, "INVALID_FILTER", "filter"),
        ({"filter": "state = FAILED", "request_id": "é"}, "FIELD_VIOLATION", "request_id"),
    ],
)
async def test_a_bad_request_is_refused(
    bulk: Stub, method: str, force: bool, fields: dict[str, Any], reason: str, field: str
) -> None:
    request = getattr(pb, f"{method}Request")(force=force, **fields)
    found = await refusal(getattr(bulk, method)(request))
    assert (found.code, found.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    assert field in found.violations


async def test_the_place_of_a_filters_mistake_is_told(bulk: Stub) -> None:
    request = pb.BulkRetryTasksRequest(filter="state = FAILD")
    found = await refusal(bulk.BulkRetryTasks(request))
    assert found.metadata["position"] == "9"
    assert "FAILED" in found.message


async def test_an_empty_filter_in_words(bulk: Stub) -> None:
    found = await refusal(bulk.BulkDeleteTasks(pb.BulkDeleteTasksRequest(filter=" ")))
    assert found.message == "The filter is empty; write one that matches the tasks that you mean."


@pytest.mark.parametrize(
    "request_",
    [
        lro.GetOperationRequest(name=NOBODY),
        lro.WaitOperationRequest(name=NOBODY),
        lro.CancelOperationRequest(name=NOBODY),
        lro.DeleteOperationRequest(name=NOBODY),
        lro.GetOperationRequest(name=""),
        lro.GetOperationRequest(name="operations/17"),
        lro.GetOperationRequest(name=NOBODY.replace("operations", "tasks")),
    ],
    ids=repr,
)
async def test_an_operation_that_is_not_there_is_not_found(
    operations: Operations, request_: Any
) -> None:
    method = type(request_).__name__.removesuffix("Request")
    found = await refusal(getattr(operations.stub, method)(request_))
    assert (found.code, found.reason) == (grpc.StatusCode.NOT_FOUND, "OPERATION_NOT_FOUND")
    assert found.message == (
        f"There is no operation {request_.name} of yours; the record of one that has ended is"
        " kept for 7 days."
    )
    assert found.metadata == {"operation": request_.name}


async def test_an_operation_is_cancelled_and_its_record_deleted(
    running: Running, bulk: Stub, operations: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running.gateway._operators.runner.loop, "_leads", lambda: False)
    await running.submitted()
    request = pb.BulkCancelTasksRequest(filter="queue = images", force=True)
    begun = (await bulk.BulkCancelTasks(request)).operation
    found = await refusal(
        operations.stub.DeleteOperation(lro.DeleteOperationRequest(name=begun.name))
    )
    assert (found.code, found.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "OPERATION_NOT_ENDED",
    )
    assert found.metadata == {"operation": begun.name}
    await operations.stub.CancelOperation(lro.CancelOperationRequest(name=begun.name))
    ended = await operations.stub.GetOperation(lro.GetOperationRequest(name=begun.name))
    assert ended.done
    assert metadata(ended).cancel_requested
    error = Refusal.of(ended.error)
    assert (error.code, error.reason) == (grpc.StatusCode.CANCELLED, "OPERATION_CANCELLED")
    assert error.message == "The operation was cancelled after 0 of 1 tasks."
    # A second cancel changes nothing and is no error.
    await operations.stub.CancelOperation(lro.CancelOperationRequest(name=begun.name))
    await operations.stub.DeleteOperation(lro.DeleteOperationRequest(name=begun.name))
    get = operations.stub.GetOperation(lro.GetOperationRequest(name=begun.name))
    assert (await refusal(get)).reason == "OPERATION_NOT_FOUND"


async def test_a_wait_that_is_over_shows_how_far_it_is(
    running: Running,
    bulk: Stub,
    operations: Operations,
    monkeypatch: pytest.MonkeyPatch,
    almost_late: float,
) -> None:
    monkeypatch.setattr(running.gateway._operators.runner.loop, "_leads", lambda: False)
    request = pb.BulkCancelTasksRequest(filter="queue = images", force=True)
    begun = (await bulk.BulkCancelTasks(request)).operation
    wait = lro.WaitOperationRequest(name=begun.name)
    wait.timeout.FromMilliseconds(1)
    assert not (await operations.stub.WaitOperation(wait)).done
    # Without a time-out it is the caller's own deadline, with time for the answer.
    wait.ClearField("timeout")
    assert not (await operations.stub.WaitOperation(wait, timeout=almost_late)).done


async def test_operations_are_listed_from_the_newest_page_by_page(
    bulk: Stub, operations: Operations
) -> None:
    request = pb.BulkDeleteTasksRequest(filter="state = FAILED", force=True)
    names = [(await bulk.BulkDeleteTasks(request)).operation.name for _ in range(5)]
    seen: list[str] = []
    token = ""
    while True:
        page = await operations.stub.ListOperations(
            lro.ListOperationsRequest(name="operations", page_size=2, page_token=token)
        )
        assert len(page.operations) <= 2
        seen += [found.name for found in page.operations]
        token = page.next_page_token
        if not token:
            break
    assert seen == names[::-1]


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"name": "tasks"}, "FIELD_VIOLATION", "name"),
        ({"filter": "done = true"}, "FIELD_VIOLATION", "filter"),
        ({"page_size": -1}, "FIELD_VIOLATION", "page_size"),
        ({"page_size": 1001}, "FIELD_VIOLATION", "page_size"),
        ({"page_token": "x"}, "INVALID_PAGE_TOKEN", "page_token"),
    ],
)
async def test_a_list_that_makes_no_sense_is_refused(
    operations: Operations, fields: dict[str, Any], reason: str, field: str
) -> None:
    request = lro.ListOperationsRequest(**fields)
    found = await refusal(operations.stub.ListOperations(request))
    assert (found.code, found.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    assert field in found.violations


async def test_a_purge_must_be_meant(
    running: Running, worker: Worker, operations: Operations
) -> None:
    queues: Any = queue_service_pb2_grpc.QueueServiceStub(running.channel)
    waiting = await running.submitted()
    later = running.request()
    later.delay.FromSeconds(60)
    scheduled = (await running.tasks.SubmitTask(later)).task.id
    runs = to_text((await worker.claim(await running.submitted())).id)
    request = queue_service_pb2.PurgeQueueRequest(name="images", reason="bad deploy")
    found = await refusal(queues.PurgeQueue(request))
    assert (found.code, found.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "FORCE_REQUIRED")
    assert found.message == (
        "A purge of images would cancel 2 waiting tasks of yours; set force to mean it."
    )
    assert found.metadata == {"queue": "images", "taskCount": "2"}
    assert await state(running, waiting) == task_pb2.TASK_STATE_QUEUED
    request.force = True
    ended = await operations.ended((await queues.PurgeQueue(request)).operation)
    assert response(ended) == pb.BulkOperationResponse(done_count=2)
    for task_id in (waiting, scheduled):
        assert await state(running, task_id) == task_pb2.TASK_STATE_CANCELLED
    assert await state(running, runs) == task_pb2.TASK_STATE_RUNNING


async def test_a_purge_of_a_queue_that_nobody_has_heard_of_is_not_found(running: Running) -> None:
    queues: Any = queue_service_pb2_grpc.QueueServiceStub(running.channel)
    request = queue_service_pb2.PurgeQueueRequest(name="imags", force=True)
    found = await refusal(queues.PurgeQueue(request))
    assert (found.reason, found.metadata["near"]) == ("QUEUE_NOT_FOUND", "images")
    empty = await refusal(queues.PurgeQueue(queue_service_pb2.PurgeQueueRequest()))
    assert empty.reason == "FIELD_VIOLATION"


async def test_previews_that_take_long_hold_up_no_read_of_a_task(
    running: Running, bulk: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = await running.submitted()
    go_on, begun = threading.Event(), threading.Event()

    def slow(*_: object) -> BulkPreview:
        begun.set()
        assert go_on.wait(60)
        return BulkPreview(7, ())

    monkeypatch.setattr(bulk_reading, "preview", slow)
    request = pb.BulkDeleteTasksRequest(filter="state = FAILED")
    calls = [asyncio.ensure_future(bulk.BulkDeleteTasks(request)) for _ in range(4)]
    await eventually_async(begun.is_set)
    assert await state(running, task_id) == task_pb2.TASK_STATE_QUEUED
    go_on.set()
    assert [(await call).preview.task_count for call in calls] == [7, 7, 7, 7]


async def test_an_operation_goes_on_while_previews_take_long(
    running: Running, bulk: Stub, operations: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = await running.submitted()
    go_on, reached = threading.Event(), threading.Event()

    def slow(*_: object) -> BulkPreview:
        reached.set()
        assert go_on.wait(60)
        return BulkPreview(7, ())

    monkeypatch.setattr(bulk_reading, "preview", slow)
    request = pb.BulkDeleteTasksRequest(filter="state = FAILED")
    preview = asyncio.ensure_future(bulk.BulkDeleteTasks(request))
    await eventually_async(reached.is_set)
    store = running.gateway._operators.runner._work
    assert isinstance(store, GatewayBulkStore)
    now_us = running.foundation.database.clock.now_us()
    scope = BulkScope(BulkKind.CANCEL, "dev", "state = QUEUED", now_us)
    begun = await store.begin(NewBulk(scope, "", None, 1))
    assert begun is not None
    await operations.ended(lro.Operation(name=operation_name(begun.id)))
    assert await state(running, task_id) == task_pb2.TASK_STATE_CANCELLED
    go_on.set()
    await preview


async def test_a_preview_that_takes_too_long_is_refused_and_the_operation_is_not(
    running: Running, bulk: Stub, operations: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = await running.submitted()

    def endless(*_: object) -> BulkPreview:
        raise TooManyToCount

    monkeypatch.setattr(bulk_reading, "preview", endless)
    request = pb.BulkCancelTasksRequest(filter="state = QUEUED")
    refused = await refusal(bulk.BulkCancelTasks(request))
    assert (refused.reason, refused.metadata["limit"]) == ("INVALID_FILTER", "3s")
    request.force = True
    begun = (await bulk.BulkCancelTasks(request)).operation
    assert metadata(begun).total_count == 0
    assert metadata(await operations.ended(begun)).done_count == 1
    assert await state(running, task_id) == task_pb2.TASK_STATE_CANCELLED


async def test_those_who_wait_for_operations_share_the_looks(
    running: Running, bulk: Stub, operations: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running.gateway._operators.runner.loop.close()
    store, reads = running.gateway._operators.runner._work, []
    assert isinstance(store, GatewayBulkStore)
    get = store.get

    async def counted(operation_id: bytes, *, owner: str) -> BulkOperation | None:
        reads.append(operation_id)
        return await get(operation_id, owner=owner)

    monkeypatch.setattr(store, "get", counted)
    request = pb.BulkCancelTasksRequest(filter="state = QUEUED", force=True)
    wait = lro.WaitOperationRequest(name=(await bulk.BulkCancelTasks(request)).operation.name)
    wait.timeout.FromMilliseconds(1_000)
    waited = await asyncio.gather(*(operations.stub.WaitOperation(wait) for _ in range(5)))
    assert not any(each.done for each in waited)
    assert len(reads) == 10
