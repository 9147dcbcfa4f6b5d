"""A watch of many tasks over real services, one of which dies."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from taskwire.client import ended
from taskwire.v1 import task_pb2
from taskwire.v1 import task_service_pb2 as pb
from tests.e2e.work import submit
from tests.support.servers import RabbitServer, RedisServer
from tests.support.stack import Stack, stack

pytestmark = [pytest.mark.servers, pytest.mark.timeout(240)]


@pytest.fixture
def own_redis(rabbit: RabbitServer, killable_redis: RedisServer) -> Iterator[Stack]:
    with stack(rabbitmq_url=rabbit.url, redis_url=killable_redis.url) as made:
        yield made


def until_synced(watch: Iterator[pb.WatchTasksResponse]) -> list[task_pb2.Task]:
    found = []
    for event in watch:
        if event.HasField("task"):
            found.append(event.task)
        if event.HasField("synced"):
            return found
    raise AssertionError("the watch ended before it was in step")


def test_a_watch_of_many_outlives_kill_9_of_the_gateway_and_misses_no_end(
    services: Stack,
) -> None:
    interruptions: list[str] = []
    with services.client() as client:
        ids = [submit(client, f"many{number}", 5) for number in range(3)]
        watch = client.watch_tasks(ids, on_interruption=interruptions.append)
        seen = until_synced(watch)
        services.wait_for("begin", "many0")
        services.kill("gateway")
        services.start_gateway()
        events = list(watch)
    assert interruptions
    assert events[-1].closed.reason == pb.Closed.REASON_TERMINAL
    assert not any(event.HasField("synced") for event in events), "it began again"
    seen += [event.task for event in events if event.HasField("task")]
    for task_id in ids:
        versions = [task.version for task in seen if task.id == task_id]
        assert versions == sorted(set(versions))
        last = next(task for task in reversed(seen) if task.id == task_id)
        assert last.state == task_pb2.TASK_STATE_SUCCEEDED


def test_a_watch_of_everything_loses_nothing_while_redis_is_dead(
    own_redis: Stack, killable_redis: RedisServer
) -> None:
    with own_redis.client() as client:
        watch = client.watch_tasks(heartbeat_s=5)
        assert until_synced(watch) == []
        killable_redis.kill()
        ids = {submit(client, f"dark{number}") for number in range(5)}
        open_ = set(ids)
        while open_:
            event = next(watch)
            if event.HasField("task") and ended(event.task):
                open_.discard(event.task.id)
        killable_redis.start()
        late = submit(client, "light")
        while not ((event := next(watch)).task.id == late and ended(event.task)):
            pass
        assert event.task.state == task_pb2.TASK_STATE_SUCCEEDED
        watch.close()  # type: ignore[attr-defined]  # a generator
