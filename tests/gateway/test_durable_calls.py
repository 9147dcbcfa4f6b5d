"""Durable calls: metadata, headers, statuses, re-attaching, deadlines and disconnects."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from msgspec.structs import replace

from taskwire.v1 import options_pb2, task_pb2
from taskwire.v1 import task_service_pb2 as pb
from taskwire_core.failure import Code, poison, timed_out, worker_lost
from taskwire_gateway.admission import Kind
from tests.gateway.running import NOT_THERE, Running, Worker, refusal
from tests.support.eventually import eventually_async


@pytest.fixture
def database_url(store_url: str) -> str:
    return store_url


ID = ("taskwire-request-id", "one")


async def task_of(running: Running, task_id: str) -> task_pb2.Task:
    return (await running.tasks.GetTask(pb.GetTaskRequest(id=task_id))).task


async def test_a_call_answers_with_the_tasks_result(running: Running, worker: Worker) -> None:
    call = running.durable(running.shrink().SerializeToString())
    task_id = await call.begun()
    held = await worker.claim(task_id)
    await worker.succeed(held, running.message("acme.v1.ShrinkResponse", url="small"))
    assert await call == b"\n\x05small"
    assert (await call.trailers())["taskwire-task-id"] == task_id


async def test_with_a_request_id_nothing_is_sent_before_the_answer(
    running: Running, worker: Worker
) -> None:
    call = running.durable(running.shrink().SerializeToString(), ID)
    held = await worker.claim(await running.made_by("one"))
    headers = asyncio.ensure_future(call.headers())
    done, _ = await asyncio.wait({headers}, timeout=0.1)
    assert not done
    await worker.succeed(held, running.message("acme.v1.ShrinkResponse"))
    await call
    assert "taskwire-task-id" not in await headers
    assert "taskwire-task-id" in await call.trailers()


async def test_the_same_request_id_attaches_to_the_same_task(
    running: Running, worker: Worker
) -> None:
    data = running.shrink().SerializeToString()
    first = running.durable(data, ID)
    task_id = await running.made_by("one")
    first.cancel()
    second = running.durable(data, ID)
    held = await worker.claim(task_id)
    await worker.succeed(held, running.message("acme.v1.ShrinkResponse", url="small"))
    assert await second == b"\n\x05small"
    assert await running.durable(data, ID) == b"\n\x05small"


async def test_a_request_id_with_other_content_is_refused(running: Running) -> None:
    first = running.durable(running.shrink().SerializeToString(), ID)
    await running.made_by("one")
    refused = await refusal(running.durable(running.shrink(width=9).SerializeToString(), ID))
    assert refused.code is grpc.StatusCode.ALREADY_EXISTS
    assert refused.reason == "REQUEST_ID_REUSED"
    first.cancel()


async def test_metadata_becomes_labels_delay_and_priority(running: Running) -> None:
    call = running.durable(
        running.shrink().SerializeToString(),
        ("taskwire-label", "team=web"),
        ("taskwire-label", "tier=gold"),
        ("taskwire-delay", "5m"),
        ("taskwire-priority", "high"),
        ("other-header", "is left alone"),
    )
    task = await task_of(running, await call.begun())
    assert task.labels == {"team": "web", "tier": "gold"}
    assert task.state == task_pb2.TASK_STATE_SCHEDULED
    assert task.options.priority == options_pb2.PRIORITY_HIGH
    call.cancel()


async def test_unknown_taskwire_metadata_is_refused(running: Running) -> None:
    refused = await refusal(
        running.durable(running.shrink().SerializeToString(), ("taskwire-dealy", "5m"))
    )
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.reason == "UNKNOWN_METADATA"
    assert "taskwire-delay" in refused.message


async def test_many_unknown_keys_are_answered_within_what_headers_hold(running: Running) -> None:
    keys = [(f"taskwire-{number:03}-{'x' * 50}", "1") for number in range(70)]
    refused = await refusal(running.durable(running.shrink().SerializeToString(), *keys))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.reason == "UNKNOWN_METADATA"
    assert int(refused.metadata["omittedViolations"]) + len(refused.violations) == 70


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("taskwire-delay", "soon"),
        ("taskwire-delay", "9" * 30 + "d"),
        ("taskwire-priority", "urgent"),
        ("taskwire-label", "no equals sign"),
        ("taskwire-cancel-on-disconnect", "maybe"),
        ("taskwire-request-id", "x" * 129),
    ],
)
async def test_metadata_that_cannot_be_read_is_refused(
    running: Running, key: str, value: str
) -> None:
    refused = await refusal(running.durable(running.shrink().SerializeToString(), (key, value)))
    assert refused.reason == "INVALID_METADATA"
    assert list(refused.violations) == [key]


async def test_a_label_that_is_given_twice_is_refused(running: Running) -> None:
    twice = [("taskwire-label", "team=web"), ("taskwire-label", "team = ops")]
    refused = await refusal(running.durable(running.shrink().SerializeToString(), *twice))
    assert refused.reason == "INVALID_METADATA"
    assert refused.violations == {"taskwire-label": "must be given once for each label"}


async def test_invalid_fields_have_the_paths_of_the_request_itself(running: Running) -> None:
    refused = await refusal(running.durable(running.shrink(width=0).SerializeToString()))
    assert refused.reason == "FIELD_VIOLATION"
    assert list(refused.violations) == ["width"]


async def test_an_oversized_input_is_refused_for_good(running: Running) -> None:
    big = running.shrink(url="https://acme.dev/" + "a" * 2_000)
    refused = await refusal(running.durable(big.SerializeToString()))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.reason == "PAYLOAD_TOO_LARGE"
    assert "pass a reference to it instead. It has " in refused.message


async def test_malformed_bytes_are_refused(running: Running) -> None:
    refused = await refusal(running.durable(b"\xff\xff\xff"))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.reason == "MALFORMED_REQUEST"


async def test_an_application_error_is_the_calls_status(running: Running, worker: Worker) -> None:
    call = running.durable(running.shrink().SerializeToString())
    task_id = await call.begun()
    await worker.fail(await worker.claim(task_id), NOT_THERE)
    refused = await refusal(call)
    assert refused.code is grpc.StatusCode.NOT_FOUND
    assert (refused.reason, refused.domain) == ("NO_SUCH_PICTURE", "acme.dev")
    assert refused.message == "There is no such picture."
    assert refused.metadata == {"url": "https://acme.dev/a.png", "taskId": task_id}


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (timed_out("total_timeout"), grpc.StatusCode.DEADLINE_EXCEEDED),
        (replace(worker_lost(), retryable=False), grpc.StatusCode.INTERNAL),
        (poison(), grpc.StatusCode.INTERNAL),
    ],
    ids=["timeout", "worker lost", "poison"],
)
async def test_our_own_failures_have_their_codes(
    running: Running, worker: Worker, failure: object, code: grpc.StatusCode
) -> None:
    call = running.durable(running.shrink().SerializeToString())
    await worker.fail(await worker.claim(await call.begun()), failure)  # type: ignore[arg-type]  # a table's cell
    assert (await refusal(call)).code is code


async def test_a_cancelled_task_is_cancelled(running: Running) -> None:
    call = running.durable(running.shrink().SerializeToString())
    task_id = await call.begun()
    await running.tasks.CancelTask(pb.CancelTaskRequest(id=task_id, reason="enough"))
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    assert raised.value.code() is grpc.StatusCode.CANCELLED
    assert "enough" in (raised.value.details() or "")


async def test_who_sent_no_request_id_is_not_told_to_call_again(
    running: Running, almost_late: float
) -> None:
    call = running.durable(running.shrink().SerializeToString(), timeout=almost_late)
    refused = await refusal(call)
    assert refused.reason == "DEADLINE_PASSED"
    assert refused.message.endswith("the task goes on. Watch it by its id.")


async def test_the_callers_deadline_leaves_the_task_running(
    running: Running, worker: Worker, almost_late: float
) -> None:
    call = running.durable(running.shrink().SerializeToString(), ID, timeout=almost_late)
    held = await worker.claim(await running.made_by("one"))
    refused = await refusal(call)
    assert refused.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert refused.reason == "DEADLINE_PASSED"
    assert "again with the same request id" in refused.message
    found = await task_of(running, refused.metadata["taskId"])
    assert found.state == task_pb2.TASK_STATE_RUNNING
    assert found.attempt == held.attempt


async def test_a_disconnect_leaves_the_task_alone(running: Running) -> None:
    call = running.durable(running.shrink().SerializeToString())
    task_id = await call.begun()
    call.cancel()
    await eventually_async(lambda: running.gateway._hub.watchers == 0)
    assert (await task_of(running, task_id)).state == task_pb2.TASK_STATE_QUEUED


async def test_a_disconnect_cancels_when_the_caller_wished_so(running: Running) -> None:
    call = running.durable(
        running.shrink().SerializeToString(), ("taskwire-cancel-on-disconnect", "true")
    )
    task_id = await call.begun()
    call.cancel()
    wait = await running.tasks.WaitTask(pb.WaitTaskRequest(id=task_id))
    assert wait.task.state == task_pb2.TASK_STATE_CANCELLED


CANCELS = ("taskwire-cancel-on-disconnect", "true")


class Held:
    """One method of the store, whose answer waits until it is let go."""

    def __init__(self, running: Running, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
        self._method = getattr(running.gateway._store, method)
        self.reached, self.let_go = asyncio.Event(), asyncio.Event()
        monkeypatch.setattr(running.gateway._store, method, self._answer)

    async def _answer(self, *arguments: object, **named: object) -> object:
        answer = await self._method(*arguments, **named)
        self.reached.set()
        await self.let_go.wait()
        return answer


async def test_a_task_whose_caller_goes_while_it_is_committed_is_cancelled(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(running, monkeypatch, "submit")
    call = running.durable(running.shrink().SerializeToString(), ID, CANCELS)
    await held.reached.wait()
    task_id = await running.made_by("one")
    call.cancel()
    await eventually_async(lambda: running.gateway._hub.watchers == 0)
    held.let_go.set()
    wait = await running.tasks.WaitTask(pb.WaitTaskRequest(id=task_id))
    assert wait.task.state == task_pb2.TASK_STATE_CANCELLED


async def test_a_known_task_whose_caller_goes_while_it_is_read_is_cancelled(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = running.shrink().SerializeToString()
    first = running.durable(data, ID)
    task_id = await running.made_by("one")
    held = Held(running, monkeypatch, "tasks")
    call = running.durable(data, ID, CANCELS)
    await held.reached.wait()
    call.cancel()
    await eventually_async(lambda: running.gateway._admission.open(Kind.DURABLE) < 2)
    held.let_go.set()
    wait = await running.tasks.WaitTask(pb.WaitTaskRequest(id=task_id))
    assert wait.task.state == task_pb2.TASK_STATE_CANCELLED
    assert (await refusal(first)).reason == "TASK_CANCELLED"


async def test_an_unserved_method_is_unimplemented_with_near_matches(running: Running) -> None:
    refused = await refusal(running.durable(b"", path="acme.v1.Images/Shrnk"))
    assert refused.code is grpc.StatusCode.UNIMPLEMENTED
    assert refused.reason == "METHOD_NOT_SERVED"
    assert refused.metadata["near"] == "acme.v1.Images/Shrink"


async def test_codes_are_those_of_grpc() -> None:
    assert {code.value[0] for code in grpc.StatusCode} == {int(code) for code in Code}
