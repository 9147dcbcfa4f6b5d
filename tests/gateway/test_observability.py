"""What a gateway shows of itself: calls, tasks and exceptions, and nothing that callers sent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import grpc
import pytest

from taskwire.v1 import task_service_pb2 as pb
from taskwire_admin.exception_log import ExceptionLog
from taskwire_admin.periskop import payload
from taskwire_core.errors import StoreUnavailable
from taskwire_core.lifecycle import State
from taskwire_gateway.admission import Kind
from taskwire_gateway.gateway import Store
from taskwire_gateway.standing import LoopStanding
from tests.gateway.running import SHRINK, Running, Worker, refusal
from tests.support.admin import Numbers, read
from tests.support.eventually import eventually_async

SERVICE = "taskwire.v1.TaskService"
CANARY = "CanaryOfTheCaller"


def numbers(running: Running) -> Numbers:
    return read(running.foundation.instruments.registry)


@pytest.fixture
def collecting(running: Running) -> Iterator[None]:
    """What the admin port does while it is open."""
    handler = ExceptionLog(running.foundation.instruments.exceptions)
    logging.getLogger().addHandler(handler)
    yield
    logging.getLogger().removeHandler(handler)


def shown(running: Running) -> str:
    return payload("here", running.foundation.instruments.exceptions.bundles())


async def test_calls_are_counted_by_method_and_code(running: Running) -> None:
    await running.submitted()
    await refusal(running.tasks.SubmitTask(running.request(type="acme.v1.No/Such")))
    made_up: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = running.channel.unary_unary(
        "/made.up/Path"
    )
    await refusal(made_up(b""))
    calls = "taskwire_gateway_calls_total"
    # A refusal is counted after it was sent.
    await eventually_async(lambda: numbers(running).sum(calls, method="unserved") == 1)
    found = numbers(running)
    assert found.sum(calls, method=f"{SERVICE}/SubmitTask", code="OK") == 1
    assert found.sum(calls, method=f"{SERVICE}/SubmitTask", code="NOT_FOUND") == 1
    assert found.sum(calls, method="unserved", code="UNIMPLEMENTED") == 1
    assert found.sum("taskwire_gateway_call_seconds_count", method=f"{SERVICE}/SubmitTask") == 2


async def test_a_watch_that_is_left_was_cancelled_and_is_open_no_more(running: Running) -> None:
    task_id = await running.submitted()
    watch = running.tasks.WatchTask(pb.WatchTaskRequest(id=task_id))
    await watch.read()
    assert numbers(running).sum("taskwire_gateway_calls_open", kind=Kind.WATCH) == 1
    watch.cancel()
    await eventually_async(
        lambda: numbers(running).sum(
            "taskwire_gateway_calls_total", method=f"{SERVICE}/WatchTask", code="CANCELLED"
        )
    )
    assert numbers(running).sum("taskwire_gateway_calls_open", kind=Kind.WATCH) == 0


async def test_a_durable_call_is_counted_under_its_own_method(
    running: Running, worker: Worker
) -> None:
    call = running.durable(running.shrink().SerializeToString())
    task = await worker.claim(await call.begun())
    await worker.succeed(task, running.message("acme.v1.ShrinkResponse"))
    await call
    await eventually_async(
        lambda: numbers(running).sum("taskwire_gateway_calls_total", method=SHRINK, code="OK") == 1
    )


async def test_what_is_refused_is_counted_by_reason(running: Running) -> None:
    running.gateway._admission.drain()
    await refusal(running.tasks.SubmitTask(running.request()))
    assert numbers(running).by("taskwire_gateway_refusals_total", "reason") == {
        "SERVER_DRAINING": 1
    }


async def test_the_gauges_of_tasks_are_what_sql_counts(running: Running, worker: Worker) -> None:
    ids = [await running.submitted() for _ in range(7)]
    await running.tasks.SubmitTask(running.request(request_id="same"))
    await running.tasks.SubmitTask(running.request(request_id="same"))
    done = await worker.claim(ids[0])
    await worker.succeed(done, running.message("acme.v1.ShrinkResponse"))
    await worker.claim(ids[1])
    await running.tasks.CancelTask(pb.CancelTaskRequest(id=ids[2]))

    found = numbers(running)

    assert found.sum("taskwire_gateway_tasks_accepted_total", type=SHRINK) == 8
    with running.foundation.database.connect() as connection:
        rows = connection.exec_driver_sql("SELECT state, count(*) FROM tasks GROUP BY state").all()
    counted = {State(state).name: count for state, count in rows}
    shown = found.by("taskwire_store_tasks", "state")
    assert {state: count for state, count in shown.items() if count} == counted
    assert counted == {"QUEUED": 5, "RUNNING": 1, "SUCCEEDED": 1, "CANCELLED": 1}
    assert found.sum("taskwire_store_workers") == 1
    assert found.sum("taskwire_store_oldest_queued_seconds", queue="images") > 0


async def test_messages_are_counted_on_their_way_to_the_broker(
    running: Running, worker: Worker
) -> None:
    await running.submitted()
    await eventually_async(lambda: numbers(running).sum("taskwire_dispatch_confirmed_total") == 1)
    found = numbers(running)
    assert found.sum("taskwire_dispatch_published_total") == 1
    assert found.sum("taskwire_dispatch_unconfirmed") == 0
    assert found.sum("taskwire_dispatch_outstanding", queue="images") >= 1
    assert found.sum("taskwire_writer_commit_seconds_count") > 0
    assert found.sum("taskwire_gateway_connected", to="broker") == 1


async def test_the_keeper_that_leads_counts_its_sweeps(running: Running) -> None:
    await eventually_async(lambda: numbers(running).sum("taskwire_keeper_leads") == 1)
    await eventually_async(
        lambda: numbers(running).sum("taskwire_keeper_sweep_seconds_count", sweep="lost")
    )


async def test_a_sweep_that_fails_is_counted_and_shown(
    running: Running, collecting: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails() -> int:
        raise RuntimeError("a row that nobody expected")

    for chore in running.gateway._keeper._chores:
        monkeypatch.setattr(chore, "sweep", fails)
    await eventually_async(lambda: "a row that nobody expected" in shown(running))
    assert '"request_url": "taskwire_gateway.keeper.keeper"' in shown(running)


@pytest.mark.usefixtures("collecting")
async def test_a_call_that_fails_unexpectedly_is_shown_without_what_was_sent(
    running: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(*_: object, **__: object) -> None:
        raise RuntimeError(f"cannot write https://{CANARY}.dev/a.png; password=hunter2")

    monkeypatch.setattr(running.gateway._store, "submit", fails)
    url = f"https://{CANARY}.dev/a.png"
    refused = await refusal(
        running.tasks.SubmitTask(running.request(input=running.shrink(url=url)))
    )
    assert refused.reason == "INTERNAL"
    text = shown(running)
    assert f'"request_url": "{SERVICE}/SubmitTask"' in text
    assert f'"call": "{refused.call_id}"' in text
    assert "RuntimeError" in text
    assert CANARY not in text
    assert "hunter2" not in text
    (record,) = [r for r in caplog.records if r.getMessage() == "a call failed unexpectedly"]
    assert record.exc_info is not None


async def test_an_expected_error_is_no_exception(running: Running, collecting: None) -> None:
    await refusal(running.tasks.SubmitTask(running.request(type="acme.v1.No/Such")))
    assert running.foundation.instruments.exceptions.total == 0


def standing(running: Running, store: Store) -> LoopStanding:
    return LoopStanding(
        asyncio.get_running_loop(),
        serving=lambda: running.gateway.serving,
        ask_store=store.live_workers,
        parts=running.gateway.connected,
    )


async def test_a_gateway_is_ready_while_its_store_answers(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = running.gateway._store
    asked = standing(running, store)
    found = await asyncio.to_thread(asked.ready)
    assert found.good
    assert found.parts == {"service": "serving", "store": "ok", "broker": "ok", "feed": "ok"}

    async def away() -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(store, "live_workers", away)
    found = await asyncio.to_thread(standing(running, store).ready)
    assert (found.good, found.parts["store"]) == (False, "away")


async def test_a_gateway_without_broker_and_feed_is_ready_and_says_so(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running.gateway._broker.close(1)
    await running.gateway._feed.close()
    found = await asyncio.to_thread(standing(running, running.gateway._store).ready)
    assert found.good
    assert (found.parts["broker"], found.parts["feed"]) == ("away", "away")


async def test_a_gateway_that_drains_is_not_ready(running: Running) -> None:
    running.gateway.serving = False
    found = await asyncio.to_thread(standing(running, running.gateway._store).ready)
    assert (found.good, found.parts["service"]) == (False, "draining")


async def test_a_loop_that_answers_is_healthy_and_one_that_has_ended_is_not(
    running: Running,
) -> None:
    assert (await asyncio.to_thread(standing(running, running.gateway._store).healthy)).good
    ended = asyncio.new_event_loop()
    ended.close()
    asked = LoopStanding(
        ended, serving=lambda: True, ask_store=running.gateway._store.live_workers, parts=dict
    )
    assert not asked.healthy().good


async def test_a_stream_of_requests_is_worked_on_message_by_message(running: Running) -> None:
    messages = [pb.StreamSubmitTasksRequest(request=running.request()) for _ in range(3)]
    answers = [answer async for answer in running.tasks.StreamSubmitTasks(iter(messages))]
    assert len(answers) == 3
    found = numbers(running)
    method = f"{SERVICE}/StreamSubmitTasks"
    assert found.sum("taskwire_gateway_calls_total", method=method, code="OK") == 1
    assert found.sum("taskwire_gateway_tasks_accepted_total") == 3
