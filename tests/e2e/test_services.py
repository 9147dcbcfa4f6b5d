"""The main job over RabbitMQ and Redis: submit, run, watch, cancel, durable calls."""

from __future__ import annotations

from datetime import timedelta

import grpc
import pytest

from taskwire.client import FollowUp
from taskwire.v1 import task_pb2
from tests.e2e.work import TYPE, ordinary_stub, request, submit
from tests.support.eventually import eventually
from tests.support.stack import Stack

pytestmark = [pytest.mark.servers, pytest.mark.timeout(180)]


@pytest.fixture
def database_url(store_url: str) -> str:
    return store_url


def test_a_task_is_submitted_run_and_watched_to_its_end(services: Stack) -> None:
    with services.client() as client:
        task_id = submit(client, "plain", 0.5)
        seen = [e.task for e in client.watch(task_id) if e.WhichOneof("kind") == "task"]
        versions = [task.version for task in seen]
        assert versions == sorted(set(versions))
        assert seen[-1].state == task_pb2.TASK_STATE_SUCCEEDED
        assert [e.what for e in services.entries("plain")] == ["begin", "end"]


def test_a_batch_of_a_hundred_is_run_exactly_once_each(services: Stack) -> None:
    from taskwire.v1 import task_service_pb2, task_service_pb2_grpc

    with services.client() as client:
        stub = task_service_pb2_grpc.TaskServiceStub(client.channel)
        batch = task_service_pb2.BatchSubmitTasksRequest()
        for number in range(100):
            message = client.input_message("journal.v1.JournalTasks/Work", f'{{"key":"b{number}"}}')
            batch.requests.add().input.Pack(message)
        answer = stub.BatchSubmitTasks(batch)
        ids = [result.ok.task.id for result in answer.results]
        assert len(set(ids)) == 100
        for task_id in ids:
            assert client.wait(task_id, 60).state == task_pb2.TASK_STATE_SUCCEEDED
    begun = [e.task_id for e in services.entries() if e.what == "begin"]
    assert sorted(begun) == sorted(ids)


def test_an_ordinary_stub_gets_the_typed_answer(services: Stack) -> None:
    with ordinary_stub(services) as (stub, messages):
        answer = stub.Work(
            request(messages, "call", 0.1), metadata=[("taskwire-request-id", "call-1")]
        )
        again = stub.Work(
            request(messages, "call", 0.1), metadata=[("taskwire-request-id", "call-1")]
        )
    assert answer == again
    assert (answer.key, answer.attempt) == ("call", 1)
    assert len(services.entries("call")) == 2


def test_a_running_task_is_cancelled_and_its_handler_is_told(services: Stack) -> None:
    with services.client() as client:
        task_id = submit(client, "cancel", 30)
        services.wait_for("begin", "cancel")
        eventually(lambda: client.get(task_id).state == task_pb2.TASK_STATE_RUNNING)
        answer = client.cancel(task_id, "not needed")
        assert answer.effective
        task = client.wait(task_id, 20)
        assert task.state == task_pb2.TASK_STATE_CANCELLED
        assert task.cancel_reason == "not needed"
        assert not client.cancel(task_id).effective
    assert [e.what for e in services.entries("cancel")] == ["begin"]


def test_a_scheduled_task_is_cancelled_and_never_begins(services: Stack) -> None:
    with services.client() as client:
        task_id = submit(client, "later", delay=timedelta(seconds=5))
        assert client.get(task_id).state == task_pb2.TASK_STATE_SCHEDULED
        assert client.cancel(task_id).task.state == task_pb2.TASK_STATE_CANCELLED
        follower = submit(client, "follower", delay=timedelta(seconds=6))
        assert client.wait(follower, 20).state == task_pb2.TASK_STATE_SUCCEEDED
    assert services.entries("later") == []


def test_a_task_without_a_worker_says_so_and_is_cancelled_while_it_waits(
    services: Stack,
) -> None:
    services.stop("worker")
    with services.client() as client:
        task_id = submit(client, "nobody")
        eventually(
            lambda: client.get(task_id).pending_reason == task_pb2.PENDING_REASON_NO_WORKER,
            within=15,
        )
        assert client.cancel(task_id).task.state == task_pb2.TASK_STATE_CANCELLED
        services.start_worker("second")
        follower = submit(client, "somebody")
        assert client.wait(follower, 30).state == task_pb2.TASK_STATE_SUCCEEDED
    assert services.entries("nobody") == []


def test_a_durable_call_outlives_kill_9_of_the_gateway_and_of_the_worker(
    services: Stack,
) -> None:
    with ordinary_stub(services) as (stub, messages):
        call = stub.Work.future(
            request(messages, "durable", 60, slow_once=True),
            metadata=[("taskwire-request-id", "durable-1")],
        )
        first = services.wait_for("begin", "durable")
        services.kill("worker")
        services.kill("gateway")
        services.start_worker("worker-2")
        services.start_gateway()
        answer = call.result(timeout=90)
    begun = [e for e in services.entries("durable") if e.what == "begin"]
    assert [e.attempt for e in begun] == [first.attempt, answer.attempt]
    assert len({e.task_id for e in begun}) == 1
    assert answer.key == "durable"
    assert call.code() == grpc.StatusCode.OK


def test_long_tasks_on_one_worker_do_not_starve_an_idle_one(services: Stack) -> None:
    with services.client() as client:
        long = [submit(client, f"long{n}", 90) for n in range(8)]
        for number in range(8):
            services.wait_for("begin", f"long{number}")
        queued = [submit(client, f"short{n}") for n in range(20)]
        services.start_worker("idle")
        for task_id in queued:
            assert client.wait(task_id, 60).state == task_pb2.TASK_STATE_SUCCEEDED
        assert client.get(long[0]).state == task_pb2.TASK_STATE_RUNNING
        for task_id in long:
            client.cancel(task_id)


def test_a_handler_submits_and_a_result_is_handed_on(services: Stack) -> None:
    with services.client() as client:
        first = client.input_message(TYPE, '{"key": "first", "submits": "child"}')
        after = client.input_message(TYPE, '{"key": "after"}')
        plan = FollowUp("success", after, outcome_field="before")
        task = client.wait(client.submit(first, follow_ups=[plan]).task.id, 30)

        (planned,) = client.get(task.id).follow_ups
        child = client.wait(planned.task_id, 30)
    assert child.state == task_pb2.TASK_STATE_SUCCEEDED
    assert child.parent == task.id
    with services.client() as client:
        found = client.get(child.id).input
        # The key of the result stands in the input of the one that follows.
        assert found.value.endswith(task.result.value)
    services.wait_for("end", "child")


def test_an_attempt_that_repeats_what_a_killed_worker_began_submits_nothing_twice(
    services: Stack,
) -> None:
    with services.client() as client:
        request = '{"key": "parent", "duration": "60s", "slow_once": true, "submits": "only"}'
        task_id = client.submit(client.input_message(TYPE, request)).task.id
        # Its end in the journal is not yet its end in the store: killed in between it runs again.
        only = services.wait_for("end", "only").task_id
        assert client.wait(only, 30).state == task_pb2.TASK_STATE_SUCCEEDED
        services.kill("worker")
        services.start_worker("second")
        assert client.wait(task_id, 90).state == task_pb2.TASK_STATE_SUCCEEDED
    assert [e.what for e in services.entries("parent")] == ["begin", "begin", "end"]
    assert [e.what for e in services.entries("only")] == ["begin", "end"]
