"""StreamSubmitTasks: every submission acknowledged once, held up in time, and drained whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import grpc
import pytest

from taskwire.v1 import task_service_pb2 as pb
from taskwire_core.errors import StoreUnavailable, Unavailable
from taskwire_gateway.ports import Planned, Recorded
from taskwire_gateway.rpc import submit_stream
from taskwire_gateway.rpc.side_by_side import SideBySide
from tests.gateway.running import Refusal, Running, refusal
from tests.support.eventually import eventually_async

Item = pb.StreamSubmitTasksRequest
Answer = pb.StreamSubmitTasksResponse
PATH = "/taskwire.v1.TaskService/StreamSubmitTasks"


def item(running: Running, ref: str, **fields: object) -> Item:
    return Item(client_ref=ref, request=running.request(**fields))


async def answered(running: Running, *items: Item) -> dict[str, Answer]:
    """The answers to all of `items`, by their client_ref; the stream must end with OK."""
    call = running.tasks.StreamSubmitTasks(iter(items), timeout=20)
    answers = [answer async for answer in call]
    assert await call.code() is grpc.StatusCode.OK
    found = {answer.client_ref: answer for answer in answers}
    assert len(found) == len(answers), "an item was acknowledged twice"
    return found


async def opened(
    running: Running,
) -> grpc.aio.StreamStreamCall[Item, Answer]:
    return running.tasks.StreamSubmitTasks(timeout=20)


async def test_every_submission_of_a_stream_is_acknowledged_and_recorded(running: Running) -> None:
    found = await answered(running, *(item(running, f"ref-{n}") for n in range(700)))
    assert found.keys() == {f"ref-{n}" for n in range(700)}
    ids = {answer.ok.task.id for answer in found.values()}
    assert len(ids) == 700
    assert sum(running.foundation.reader.counts().values()) == 700
    created = pb.SubmitTaskResponse.DISPOSITION_CREATED
    assert {answer.ok.disposition for answer in found.values()} == {created}


async def test_an_acknowledgement_does_not_wait_for_the_end_of_the_stream(
    running: Running,
) -> None:
    call = await opened(running)
    for ref in ("one", "two"):
        await call.write(item(running, ref))
        answer = await call.read()
        assert isinstance(answer, Answer)
        assert answer.client_ref == ref
        found = await running.tasks.GetTask(pb.GetTaskRequest(id=answer.ok.task.id))
        assert found.task.version == 1
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF


async def test_an_empty_stream_ends_with_ok(running: Running) -> None:
    assert await answered(running) == {}


async def test_what_is_wrong_with_one_submission_is_its_own_answer(running: Running) -> None:
    await running.submitted(request_id="taken")
    found = await answered(
        running,
        item(running, "good"),
        item(running, "bad", input=running.shrink(url="nonsense", width=0)),
        item(running, "unknown", type="acme.v1.Images/Shrunk"),
        item(running, "reused", request_id="taken", labels={"a": "b"}),
        item(running, "again", request_id="taken"),
        item(running, "large", input=running.shrink(url="https://acme.dev/" + "x" * 3_000)),
        item(running, "dry", validate_only=True),
        Item(client_ref="empty"),
        item(running, "x" * 129),
    )
    refused = {
        ref: Refusal.of(answer.error) for ref, answer in found.items() if answer.HasField("error")
    }
    assert {ref: each.reason for ref, each in refused.items()} == {
        "bad": "FIELD_VIOLATION",
        "unknown": "TASK_TYPE_NOT_FOUND",
        "reused": "REQUEST_ID_REUSED",
        "large": "PAYLOAD_TOO_LARGE",
        "empty": "FIELD_VIOLATION",
        "x" * 129: "FIELD_VIOLATION",
    }
    assert {"input.url", "input.width"} <= refused["bad"].violations.keys()
    assert refused["bad"].code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused["reused"].code is grpc.StatusCode.ALREADY_EXISTS
    assert [*refused["empty"].violations] == ["request"]
    assert [*refused["x" * 129].violations] == ["client_ref"]
    assert found["again"].ok.disposition == pb.SubmitTaskResponse.DISPOSITION_EXISTING
    assert found["dry"].ok.disposition == pb.SubmitTaskResponse.DISPOSITION_VALIDATED
    assert found["good"].ok.task.id


async def test_one_request_id_twice_in_a_stream_is_one_task(running: Running) -> None:
    found = await answered(
        running, *(item(running, ref, request_id="same") for ref in ("a", "b", "c"))
    )
    assert len({answer.ok.task.id for answer in found.values()}) == 1


async def test_a_malformed_message_ends_the_stream_after_what_came_before(
    running: Running,
) -> None:
    method: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = running.channel.stream_stream(PATH)
    call = method(iter([item(running, "good").SerializeToString(), b"\xff\xff"]), timeout=20)
    answers = call.__aiter__()
    assert Answer.FromString(await anext(answers)).client_ref == "good"
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await anext(answers)
    refused = Refusal(raised.value)
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.reason == "MALFORMED_REQUEST"


class Stuck:
    """A store whose commits wait until a test lets them go."""

    def __init__(self, running: Running) -> None:
        self._submit = running.gateway._store.submit
        self.waiting = 0
        self.release = asyncio.Event()

    async def submit(self, tasks: Sequence[Planned]) -> list[Recorded]:
        self.waiting += 1
        await self.release.wait()
        return await self._submit(tasks)


@pytest.fixture
def stuck(running: Running, monkeypatch: pytest.MonkeyPatch) -> Stuck:
    found = Stuck(running)
    monkeypatch.setattr(running.gateway._submit_streams._submitting._writer, "submit", found.submit)
    return found


async def test_a_caller_is_held_up_while_too_much_is_unacknowledged(
    running: Running, stuck: Stuck, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submit_stream, "UNACKNOWLEDGED", 3)
    call = await opened(running)
    for n in range(8):
        await call.write(item(running, str(n)))
    await eventually_async(lambda: stuck.waiting >= 3)
    await asyncio.gather(*(running.submitted(validate_only=True) for _ in range(5)))
    assert stuck.waiting == 3, "more was received than may be unacknowledged"
    stuck.release.set()
    answers = [await call.read() for _ in range(8)]
    assert {each.client_ref for each in answers if isinstance(each, Answer)} == set("01234567")
    call.cancel()


async def test_a_drain_answers_what_was_received_and_ends_with_unavailable(
    running: Running, stuck: Stuck
) -> None:
    call = await opened(running)
    for n in range(4):
        await call.write(item(running, str(n)))
    await eventually_async(lambda: stuck.waiting == 4)
    drain = asyncio.create_task(running.gateway.drain(timedelta(seconds=10)))
    await eventually_async(lambda: running.gateway._admission._draining)
    stuck.release.set()
    answers = [await call.read() for _ in range(4)]
    assert {each.client_ref for each in answers if isinstance(each, Answer)} == set("0123")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call.read()
    refused = Refusal(raised.value)
    assert refused.code is grpc.StatusCode.UNAVAILABLE
    assert refused.reason == "SERVER_DRAINING"
    assert refused.retry_s > 0
    await drain


async def test_a_caller_that_goes_leaves_nothing_behind(running: Running, stuck: Stuck) -> None:
    call = await opened(running)
    await call.write(item(running, "one"))
    await eventually_async(lambda: stuck.waiting == 1)
    call.cancel()
    await eventually_async(lambda: not running.gateway._submit_streams._open)
    assert running.gateway._admission.open("submissions") == 0  # type: ignore[arg-type]  # a StrEnum
    assert running.gateway._admission._bytes == 0


async def test_a_store_that_is_away_is_the_answer_of_each_submission(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(tasks: Sequence[Planned]) -> list[Recorded]:
        raise StoreUnavailable("away")

    writer = running.gateway._submit_streams._submitting._writer
    monkeypatch.setattr(writer, "submit", away)
    found = await answered(running, item(running, "one"), item(running, "two"))
    for answer in found.values():
        refused = Refusal.of(answer.error)
        assert refused.code is grpc.StatusCode.UNAVAILABLE
        assert refused.reason == "STORE_UNAVAILABLE"
        assert refused.retry_s > 0


async def test_too_many_bytes_in_progress_are_refused_item_by_item(
    running: Running, stuck: Stuck
) -> None:
    stuck.release.set()
    running.gateway._admission._most_bytes = 1
    running.gateway._admission._bytes = 1
    found = await answered(running, item(running, "one"))
    running.gateway._admission._bytes = 0
    assert Refusal.of(found["one"].error).reason == "OVERLOADED"


async def test_metadata_of_durable_calls_is_refused(running: Running) -> None:
    call = running.tasks.StreamSubmitTasks(
        iter([]), metadata=(("taskwire-request-id", "r"),), timeout=20
    )

    async def first(messages: AsyncIterator[Answer]) -> Answer:
        return await anext(messages)

    assert (await refusal(first(call.__aiter__()))).reason == "UNKNOWN_METADATA"


async def test_answers_that_nobody_reads_count_until_nothing_more_is_received() -> None:
    received, let_go = 0, asyncio.Event()
    waiting = asyncio.Event()

    async def receive() -> Item | None:
        nonlocal received
        if received:
            await waiting.wait()
        received += 1
        return Item() if received < 4 else None

    async def work(_item: Item) -> Answer:
        waiting.set()
        return Answer(client_ref="x" * 1_000)

    async def send(_answer: object) -> None:
        await let_go.wait()

    stream = SideBySide(receive, work, most_items=100, most_bytes=1_000)
    serving = asyncio.create_task(stream.serve(send))
    await eventually_async(lambda: stream._answers.qsize() == 1 and not stream._working)
    for _ in range(10):
        await asyncio.sleep(0)
    assert received == 2
    let_go.set()
    await serving
    assert received == 4


async def test_a_stream_that_is_stopped_before_it_receives_anything_ends() -> None:
    async def receive() -> Item | None:
        await asyncio.Event().wait()
        return None

    async def work(_item: Item) -> Answer:
        raise AssertionError

    async def send(_answer: object) -> None:
        raise AssertionError

    stream = SideBySide(receive, work, most_items=1, most_bytes=1)
    serving = asyncio.create_task(stream.serve(send))
    await asyncio.sleep(0)  # It waits for answers now, and has not begun to receive.
    stream.stop()
    with pytest.raises(Unavailable, match="going away"):
        await asyncio.wait_for(serving, timeout=20)
