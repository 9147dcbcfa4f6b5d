"""ListTasks, CountTasks and ListTaskEvents over the real store, through gRPC."""

from __future__ import annotations

import asyncio
import dataclasses

import grpc
import pytest

from taskwire.v1 import task_pb2
from taskwire.v1 import task_service_pb2 as pb
from taskwire_contracts import Contracts
from taskwire_core.listing import Order, Place, TooManyToCount
from taskwire_core.page_tokens import PageTokens
from taskwire_core.task import View
from taskwire_gateway.embedded import Foundation, surroundings
from taskwire_gateway.gateway import Gateway, Tuning
from taskwire_gateway.use_cases.listing import ListRequest
from tests.gateway.conftest import LIMITS
from tests.gateway.running import NOT_THERE, SHRINK, Running, Worker, refusal

MISSING = "0199e1c2-7a55-7d0f-8000-0f8d7b1c2a11"


async def ids(running: Running, **fields: object) -> list[str]:
    """What all pages of a list have, in their order."""
    request = pb.ListTasksRequest(**fields)  # type: ignore[arg-type]  # fields of the request
    found: list[str] = []
    while True:
        page = await running.tasks.ListTasks(request)
        found += [task.id for task in page.tasks]
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


async def test_the_newest_tasks_come_first_page_by_page(running: Running) -> None:
    made = [await running.submitted() for _ in range(5)]
    first = await running.tasks.ListTasks(pb.ListTasksRequest(page_size=2))
    assert [task.id for task in first.tasks] == made[:-3:-1]
    assert first.next_page_token
    assert await ids(running, page_size=2) == made[::-1]
    assert await ids(running, page_size=2, order_by="create_time") == made
    assert await ids(running) == made[::-1]


async def test_the_last_changed_task_comes_first_when_asked(
    running: Running, worker: Worker
) -> None:
    first, second, third = [await running.submitted() for _ in range(3)]
    await worker.claim(first)
    assert await ids(running, order_by="update_time desc", page_size=1) == [first, third, second]


async def test_a_list_has_what_matches(running: Running, worker: Worker) -> None:
    plain = await running.submitted()
    labelled = await running.submitted(labels={"customer": "acme", "team.name-x": "a b"})
    failed = await running.submitted()
    await worker.fail(await worker.claim(failed), NOT_THERE)
    assert await ids(running, filter="labels.customer = acme") == [labelled]
    assert await ids(running, filter='labels."team.name-x" = "a b"') == [labelled]
    assert await ids(running, filter="state = FAILED AND error.type:acme") == [failed]
    assert await ids(running, filter="state = QUEUED AND NOT labels.customer:*") == [plain]
    assert await ids(running, filter=f"type = {SHRINK} AND owner = dev") == [
        failed,
        labelled,
        plain,
    ]
    assert await ids(running, filter="owner = somebody-else") == []


async def test_a_view_shows_as_much_as_it_should(running: Running, worker: Worker) -> None:
    task_id = await running.submitted()
    result = running.message("acme.v1.ShrinkResponse", url="https://acme.dev/b.png")
    await worker.succeed(await worker.claim(task_id), result)
    shown = {}
    for view in (0, task_pb2.TASK_VIEW_OUTCOME, task_pb2.TASK_VIEW_FULL):
        request = pb.ListTasksRequest(view=view)  # type: ignore[arg-type]  # 0 is a value
        (task,) = (await running.tasks.ListTasks(request)).tasks
        shown[view] = (task.HasField("result"), task.HasField("input"))
    assert [*shown.values()] == [(False, False), (True, False), (True, True)]


async def test_a_page_has_fewer_bytes_than_a_client_takes(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given tasks of which five together have too many bytes, labels and all
    monkeypatch.setattr("taskwire_gateway.rpc.task_lists.PAGE_BYTES", 2_000)
    made = [await running.submitted(labels={"note": "x" * 200}) for _ in range(10)]
    first = await running.tasks.ListTasks(pb.ListTasksRequest())
    assert 1 <= len(first.tasks) < 10
    assert first.ByteSize() < 2_300
    # Then all are met nevertheless
    assert await ids(running) == made[::-1]


async def test_a_token_is_good_for_another_view_and_size_and_at_another_gateway(
    running: Running, foundation: Foundation, contracts: Contracts
) -> None:
    made = [await running.submitted() for _ in range(3)]
    token = (await running.tasks.ListTasks(pb.ListTasksRequest(page_size=1))).next_page_token
    # When the gateway is another one, whose key was read from the database anew
    around = surroundings(contracts, foundation)
    key = PageTokens(foundation.database.signing_key())
    gateway = Gateway(dataclasses.replace(around, page_tokens=key), Tuning(limits=LIMITS))
    port = await gateway.start("127.0.0.1:0")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        other = Running(gateway, foundation, contracts, channel, "")
        view = task_pb2.TASK_VIEW_FULL
        assert await ids(other, page_token=token, view=view, page_size=10) == made[1::-1]
    await gateway.close()


@pytest.mark.parametrize(
    "changed",
    [{"filter": "state = QUEUED"}, {"order_by": "create_time"}, {"page_token": "x"}],
    ids=["filter", "order", "garbage"],
)
async def test_a_token_of_another_list_is_refused(
    running: Running, changed: dict[str, str]
) -> None:
    for _ in range(2):
        await running.submitted()
    token = (await running.tasks.ListTasks(pb.ListTasksRequest(page_size=1))).next_page_token
    request = pb.ListTasksRequest(page_token=token)
    for name, value in changed.items():
        setattr(request, name, value)
    refused = await refusal(running.tasks.ListTasks(request))
    assert refused.code == grpc.StatusCode.INVALID_ARGUMENT
    assert refused.reason == "INVALID_PAGE_TOKEN"
    assert "Start again without one" in refused.message


async def test_a_token_of_another_user_is_refused(running: Running, foundation: Foundation) -> None:
    await running.submitted()
    scope = ListRequest("", Order.NEWEST, 1, "", View.BASIC).scope
    place = Place(b"\x01" * 16)
    forged = foundation.page_tokens.sign(place, user="bob", scope=scope)
    refused = await refusal(running.tasks.ListTasks(pb.ListTasksRequest(page_token=forged)))
    assert refused.reason == "INVALID_PAGE_TOKEN"


@pytest.mark.parametrize("method", ["ListTasks", "CountTasks"])
async def test_a_filter_that_is_none_is_refused_with_its_position(
    running: Running, method: str
) -> None:
    kind = pb.ListTasksRequest if method == "ListTasks" else pb.CountTasksRequest
    call = getattr(running.tasks, method)
    refused = await refusal(call(kind(filter="state = FALED AND type = x")))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FILTER")
    assert refused.metadata == {"position": "9", "near": "FAILED"}
    assert refused.message == (
        'The filter is not valid at character 9: "FALED" is no state; expected one of SCHEDULED,'
        " QUEUED, RUNNING, RETRYING, CANCELLING, SUCCEEDED, FAILED, CANCELLED, EXPIRED. Did you"
        " mean FAILED?"
    )


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.ListTasksRequest(filter="x" * 4097), "filter"),
        (pb.ListTasksRequest(order_by="name"), "order_by"),
        (pb.ListTasksRequest(page_size=-1), "page_size"),
        (pb.ListTasksRequest(page_size=1001), "page_size"),
        (pb.ListTasksRequest(page_token="x" * 4097), "page_token"),
        (pb.ListTasksRequest(view=99), "view"),  # type: ignore[arg-type]  # that is the point
        (pb.CountTasksRequest(group_by=["colour"]), "group_by[0]"),
        (pb.CountTasksRequest(group_by=["state", "state"]), "group_by"),
        (pb.ListTaskEventsRequest(id="x"), "id"),
        (pb.ListTaskEventsRequest(id=MISSING, page_size=1001), "page_size"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
async def test_what_breaks_a_rule_of_the_contract_is_refused(
    running: Running,
    request_: pb.ListTasksRequest | pb.CountTasksRequest | pb.ListTaskEventsRequest,
    field: str,
) -> None:
    method = getattr(running.tasks, type(request_).__name__.removesuffix("Request"))
    refused = await refusal(method(request_))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_VIOLATION")
    assert field in refused.violations


async def test_tasks_are_counted_in_groups(running: Running, worker: Worker) -> None:
    for _ in range(3):
        await running.submitted(labels={"customer": "acme"})
    failed = await running.submitted()
    await worker.fail(await worker.claim(failed), NOT_THERE)
    found = await running.tasks.CountTasks(pb.CountTasksRequest(group_by=["state", "type"]))
    assert [([*group.values], group.count) for group in found.groups] == [
        (["QUEUED", SHRINK], 3),
        (["FAILED", SHRINK], 1),
    ]
    assert found.total_count == 4
    in_all = await running.tasks.CountTasks(pb.CountTasksRequest(filter="labels.customer = acme"))
    assert in_all == pb.CountTasksResponse(total_count=3)
    none = await running.tasks.CountTasks(pb.CountTasksRequest(filter="state = EXPIRED"))
    assert none == pb.CountTasksResponse()


async def test_a_count_that_takes_too_long_is_refused_in_words(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never_ending(*_: object, **__: object) -> object:
        raise TooManyToCount

    monkeypatch.setattr(running.foundation.lists, "count_tasks", never_ending)
    refused = await refusal(running.tasks.CountTasks(pb.CountTasksRequest(filter="attempt > 1")))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FILTER")
    assert refused.metadata == {"limit": "3s"}
    assert "narrow it by a state, a type, a label or a create_time" in refused.message


async def test_the_history_of_a_task_tells_who_did_what(running: Running, worker: Worker) -> None:
    task_id = await running.submitted()
    claimed = await worker.claim(task_id)
    await running.tasks.CancelTask(pb.CancelTaskRequest(id=task_id, reason="not needed"))
    await worker.fail(claimed, NOT_THERE)
    found = await running.tasks.ListTaskEvents(pb.ListTaskEventsRequest(id=task_id))
    states = [task_pb2.TaskState.Name(event.state)[len("TASK_STATE_") :] for event in found.events]
    assert states == ["QUEUED", "RUNNING", "CANCELLING", "CANCELLED"]
    assert [event.version for event in found.events] == [1, 2, 3, 4]
    assert [event.actor for event in found.events] == ["dev", "", "dev", ""]
    assert [event.attempt for event in found.events] == [0, 1, 1, 1]
    assert found.events[2].message == "not needed"
    assert found.events[1].worker_id
    assert found.events[0].event_time.ToMicroseconds() > 0
    # And page by page it is the same
    request = pb.ListTaskEventsRequest(id=task_id, page_size=3)
    first = await running.tasks.ListTaskEvents(request)
    request.page_token = first.next_page_token
    second = await running.tasks.ListTaskEvents(request)
    assert [*first.events, *second.events] == [*found.events]
    assert second.next_page_token == ""


async def test_the_event_of_a_failure_says_what_failed(running: Running, worker: Worker) -> None:
    task_id = await running.submitted()
    await worker.fail(await worker.claim(task_id), NOT_THERE)
    found = await running.tasks.ListTaskEvents(pb.ListTaskEventsRequest(id=task_id))
    assert found.events[-1].message == "There is no such picture."


async def test_the_history_of_no_task_is_not_found(running: Running) -> None:
    refused = await refusal(running.tasks.ListTaskEvents(pb.ListTaskEventsRequest(id=MISSING)))
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "TASK_NOT_FOUND")


async def test_a_token_of_the_history_of_another_task_is_refused(
    running: Running, worker: Worker
) -> None:
    one, other = [await running.submitted() for _ in range(2)]
    for task_id in (one, other):
        await worker.claim(task_id)
    page = await running.tasks.ListTaskEvents(pb.ListTaskEventsRequest(id=one, page_size=1))
    request = pb.ListTaskEventsRequest(id=other, page_token=page.next_page_token)
    refused = await refusal(running.tasks.ListTaskEvents(request))
    assert refused.reason == "INVALID_PAGE_TOKEN"


async def test_all_pages_are_walked_while_tasks_are_added(running: Running) -> None:
    there = {await running.submitted() for _ in range(30)}
    stop = asyncio.Event()

    async def add() -> int:
        count = 0
        while not stop.is_set():
            await running.submitted()
            count += 1
        return count

    adding = asyncio.create_task(add())
    found = await ids(running, page_size=3)
    upwards = await ids(running, page_size=3, order_by="create_time")
    stop.set()
    assert await adding > 0
    for walk in (found, upwards):
        assert len(walk) == len(set(walk))
        assert there <= {*walk}
