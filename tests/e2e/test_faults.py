"""What a killed part costs: a delay within the published bound, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from taskwire.v1 import task_pb2
from tests.e2e.work import submit, submit_slow_once
from tests.support.eventually import eventually
from tests.support.servers import RabbitServer, RedisServer
from tests.support.stack import Stack, stack

pytestmark = [pytest.mark.servers, pytest.mark.timeout(240)]

LOST_HOST_BOUND_S = 25.0
"""Lease (20 s) and sweep: how long a task waits whose whole worker is gone (docs)."""


@pytest.fixture
def own_rabbit(killable_rabbit: RabbitServer, redis_server: RedisServer) -> Iterator[Stack]:
    with stack(rabbitmq_url=killable_rabbit.url, redis_url=redis_server.url) as made:
        yield made


@pytest.fixture
def own_redis(rabbit: RabbitServer, killable_redis: RedisServer) -> Iterator[Stack]:
    with stack(rabbitmq_url=rabbit.url, redis_url=killable_redis.url) as made:
        yield made


def test_tasks_submitted_while_rabbitmq_is_dead_run_when_it_is_back(
    own_rabbit: Stack, killable_rabbit: RabbitServer
) -> None:
    with own_rabbit.client() as client:
        assert client.wait(submit(client, "before"), 30).state == task_pb2.TASK_STATE_SUCCEEDED
        killable_rabbit.kill()
        ids = [submit(client, f"down{number}") for number in range(10)]
        for task_id in ids:
            task = client.get(task_id)
            assert task.state == task_pb2.TASK_STATE_QUEUED
            assert task.pending_reason == task_pb2.PENDING_REASON_AWAITING_DISPATCH
        killable_rabbit.start()
        for task_id in ids:
            assert client.wait(task_id, 60).state == task_pb2.TASK_STATE_SUCCEEDED
    for number in range(10):
        assert len(own_rabbit.entries(f"down{number}")) == 2


def test_submit_watch_and_get_work_while_redis_is_dead(
    own_redis: Stack, killable_redis: RedisServer
) -> None:
    with own_redis.client() as client:
        assert client.wait(submit(client, "before"), 30).state == task_pb2.TASK_STATE_SUCCEEDED
        killable_redis.kill()
        task_id = submit(client, "without", 0.5)
        events = [e for e in client.watch(task_id) if e.WhichOneof("kind") == "task"]
        assert events[-1].task.state == task_pb2.TASK_STATE_SUCCEEDED
        assert client.get(task_id).state == task_pb2.TASK_STATE_SUCCEEDED
        running = submit(client, "cancelled", 60)
        own_redis.wait_for("begin", "cancelled")
        client.cancel(running)
        assert client.wait(running, 30).state == task_pb2.TASK_STATE_CANCELLED
        killable_redis.start()
        assert client.wait(submit(client, "after"), 30).state == task_pb2.TASK_STATE_SUCCEEDED


def test_another_attempt_finishes_what_a_killed_worker_process_had_begun(
    services: Stack,
) -> None:
    """The process that ran it dies; its supervisor lives: well under the bound of a lost host."""
    import os
    import signal

    with services.client() as client:
        task_id = submit_slow_once(client, "crash")
        begun = services.wait_for("begin", "crash")
        os.kill(begun.pid, signal.SIGKILL)
        killed = time.monotonic()
        eventually(
            lambda: len([e for e in services.entries("crash") if e.what == "begin"]) == 2,
            within=LOST_HOST_BOUND_S / 2,
        )
        recovered = time.monotonic() - killed
        task = client.wait(task_id, 60)
    assert task.state == task_pb2.TASK_STATE_SUCCEEDED
    assert [a.number for a in task.attempts] == [1, 2] or task.attempt == 2
    print(f"recovered after {recovered:.2f} s")


def test_another_attempt_finishes_what_a_lost_worker_had_begun_and_the_watch_shows_it(
    services: Stack,
) -> None:
    with services.client() as client:
        task_id = submit_slow_once(client, "lost")
        services.wait_for("begin", "lost")
        watch = client.watch(task_id)
        services.kill("worker")
        killed = time.monotonic()
        services.start_worker("worker-2")
        seen = [e.task for e in watch if e.WhichOneof("kind") == "task"]
    assert time.monotonic() - killed < LOST_HOST_BOUND_S + 10
    assert seen[-1].state == task_pb2.TASK_STATE_SUCCEEDED
    assert seen[-1].attempt == 2
    states = [task.state for task in seen]
    assert task_pb2.TASK_STATE_RETRYING in states or task_pb2.TASK_STATE_QUEUED in states
    begun = [e.attempt for e in services.entries("lost") if e.what == "begin"]
    assert begun == [1, 2]


def test_a_drained_worker_hands_its_tasks_to_the_next_one(services: Stack) -> None:
    with services.client() as client:
        services.stop("worker")
        services.start_worker("short", drain_grace="1s")
        task_id = submit(client, "drained", 8)
        services.wait_for("begin", "drained")
        assert services.stop("short") == 0
        task = client.get(task_id)
        assert task.state == task_pb2.TASK_STATE_QUEUED
        services.start_worker("heir")
        assert client.wait(task_id, 60).state == task_pb2.TASK_STATE_SUCCEEDED
    begun = [e.attempt for e in services.entries("drained") if e.what == "begin"]
    assert begun == [1, 2]


def test_a_watch_that_is_cut_resumes_and_misses_no_end(services: Stack) -> None:
    with services.client() as client:
        task_id = submit(client, "cut", 6)
        interruptions: list[str] = []
        watch = client.watch(task_id, on_interruption=interruptions.append)
        seen = [next(watch)]
        services.wait_for("begin", "cut")
        services.kill("gateway")
        services.start_gateway()
        seen += list(watch)
    versions = [e.task.version for e in seen if e.WhichOneof("kind") == "task"]
    assert versions == sorted(set(versions))
    last = [e.task for e in seen if e.WhichOneof("kind") == "task"][-1]
    assert last.state == task_pb2.TASK_STATE_SUCCEEDED
    assert interruptions
