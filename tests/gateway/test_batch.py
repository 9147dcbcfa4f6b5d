"""Batches: all or nothing with every violation, or those that can be recorded."""

from __future__ import annotations

import grpc
import pytest

from taskwire.v1 import task_pb2
from taskwire.v1 import task_service_pb2 as pb
from tests.gateway.running import Refusal, Running, Worker, refusal


@pytest.fixture
def database_url(store_url: str) -> str:
    return store_url


async def test_a_batch_is_recorded_whole(running: Running) -> None:
    batch = pb.BatchSubmitTasksRequest(requests=[running.request() for _ in range(5)])
    answer = await running.tasks.BatchSubmitTasks(batch)
    assert len({result.ok.task.id for result in answer.results}) == 5


async def test_one_bad_item_refuses_the_batch_with_all_violations(running: Running) -> None:
    bad = [
        running.request(input=running.shrink(width=0), request_id="kept"),
        running.request(request_id="also kept"),
        running.request(input=running.shrink(url="no uri")),
    ]
    refused = await refusal(
        running.tasks.BatchSubmitTasks(pb.BatchSubmitTasksRequest(requests=bad))
    )
    assert refused.reason == "FIELD_VIOLATION"
    assert set(refused.violations) == {"requests[0].input.width", "requests[2].input.url"}
    again = await running.tasks.SubmitTask(running.request(request_id="also kept"))
    assert again.disposition == pb.SubmitTaskResponse.DISPOSITION_CREATED


async def test_an_unknown_type_in_a_batch_is_named_with_its_place(running: Running) -> None:
    batch = pb.BatchSubmitTasksRequest(requests=[running.request(), running.request(type="a.B/C")])
    refused = await refusal(running.tasks.BatchSubmitTasks(batch))
    assert refused.code is grpc.StatusCode.NOT_FOUND
    assert refused.reason == "TASK_TYPE_NOT_FOUND"
    assert list(refused.violations) == ["requests[1].type"]


async def test_a_reused_request_id_refuses_the_batch(running: Running) -> None:
    await running.submitted(request_id="one")
    changed = running.request(request_id="one", labels={"a": "b"})
    batch = pb.BatchSubmitTasksRequest(requests=[running.request(), changed])
    refused = await refusal(running.tasks.BatchSubmitTasks(batch))
    assert refused.reason == "REQUEST_ID_REUSED"
    assert list(refused.violations) == ["requests[1].request_id"]


async def test_partial_success_records_the_good_ones(running: Running) -> None:
    first = await running.submitted(request_id="one")
    batch = pb.BatchSubmitTasksRequest(
        allow_partial_success=True,
        requests=[
            running.request(),
            running.request(input=running.shrink(width=0)),
            running.request(request_id="one"),
            running.request(request_id="one", labels={"a": "b"}),
            running.request(type="a.B/C"),
            running.request(request_id="two"),
        ],
    )
    results = (await running.tasks.BatchSubmitTasks(batch)).results
    kinds = [result.WhichOneof("outcome") for result in results]
    assert kinds == ["ok", "error", "ok", "error", "error", "ok"]
    assert results[2].ok.task.id == first
    reasons = [Refusal.of(results[place].error).reason for place in (1, 3, 4)]
    assert reasons == ["FIELD_VIOLATION", "REQUEST_ID_REUSED", "TASK_TYPE_NOT_FOUND"]


async def test_too_many_items_are_refused(running: Running) -> None:
    batch = pb.BatchSubmitTasksRequest(requests=[running.request() for _ in range(11)])
    refused = await refusal(running.tasks.BatchSubmitTasks(batch))
    assert refused.reason == "BATCH_TOO_LARGE"
    assert "at most 10 items" in refused.violations["requests"]
    # Of millions of items the sizes are not even added up.
    assert refused.metadata == {"items": "11"}


async def test_too_many_bytes_are_refused(running: Running) -> None:
    big = running.shrink(url="https://acme.dev/" + "a" * 1_900)
    batch = pb.BatchSubmitTasksRequest(requests=[running.request(input=big) for _ in range(5)])
    refused = await refusal(running.tasks.BatchSubmitTasks(batch))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.reason == "BATCH_TOO_LARGE"
    assert "send smaller ones" in refused.message
    assert int(refused.metadata["bytes"]) > 8_000


async def test_an_empty_batch_is_refused(running: Running) -> None:
    refused = await refusal(running.tasks.BatchSubmitTasks(pb.BatchSubmitTasksRequest()))
    assert refused.reason == "FIELD_VIOLATION"


async def test_one_batch_may_name_a_request_id_twice(running: Running) -> None:
    batch = pb.BatchSubmitTasksRequest(requests=[running.request(request_id="one")] * 2)
    results = (await running.tasks.BatchSubmitTasks(batch)).results
    assert results[0].ok.task.id == results[1].ok.task.id
    assert results[1].ok.disposition == pb.SubmitTaskResponse.DISPOSITION_EXISTING


async def test_a_batch_may_only_be_validated(running: Running) -> None:
    batch = pb.BatchSubmitTasksRequest(requests=[running.request(validate_only=True)] * 2)
    results = (await running.tasks.BatchSubmitTasks(batch)).results
    validated = pb.SubmitTaskResponse.DISPOSITION_VALIDATED
    assert [(r.ok.task.id, r.ok.disposition) for r in results] == [("", validated)] * 2


async def test_after_a_thousand_violations_each_item_names_its_first(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskwire_gateway.use_cases.submitting._MOST_LISTED", 2)
    bad = running.request(input=running.shrink(url="no uri", width=0))
    batch = pb.BatchSubmitTasksRequest(requests=[bad, bad])
    refused = await refusal(running.tasks.BatchSubmitTasks(batch))
    assert set(refused.violations) == {
        "requests[0].input.url",
        "requests[0].input.width",
        "requests[1].input.url",
    }


@pytest.mark.parametrize("partial", [False, True])
async def test_a_repeated_batch_is_answered_without_the_results(
    running: Running, worker: Worker, partial: bool
) -> None:
    request = running.request(request_id="one")
    batch = pb.BatchSubmitTasksRequest(requests=[request], allow_partial_success=partial)
    (first,) = (await running.tasks.BatchSubmitTasks(batch)).results
    held = await worker.claim(first.ok.task.id)
    await worker.succeed(held, running.message("acme.v1.ShrinkResponse", url="small"))
    (again,) = (await running.tasks.BatchSubmitTasks(batch)).results
    assert again.ok.disposition == pb.SubmitTaskResponse.DISPOSITION_EXISTING
    assert again.ok.task.state == task_pb2.TASK_STATE_SUCCEEDED
    assert not again.ok.task.HasField("result")
    alone = (await running.tasks.SubmitTask(request)).task
    assert alone.HasField("result")
