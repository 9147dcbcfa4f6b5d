"""How many messages wait, as RabbitMQ says it; and that workers on other queues are noticed."""

from __future__ import annotations

import logging

import pytest

from taskwire_broker import queue_depth
from taskwire_broker.envelope import encode
from taskwire_broker.queue_depth import RabbitDepths
from taskwire_core.queue_type import QueueType
from tests.support.brokers import QUEUE, RabbitTravel, dispatches, working
from tests.support.eventually import eventually
from tests.support.intake import FakeIntake
from tests.support.servers import RabbitServer

pytestmark = pytest.mark.servers

NOBODY = "amqp://guest:guest@127.0.0.1:1/%2f"


@pytest.fixture(params=list(QueueType))
def travel(
    request: pytest.FixtureRequest, rabbit: RabbitServer, deployment_id: bytes
) -> RabbitTravel:
    return RabbitTravel(rabbit.url, deployment_id, request.param)


def depths(travel: RabbitTravel) -> RabbitDepths:
    return RabbitDepths(travel.url, travel.deployment_id, travel.queue_type)


def put(travel: RabbitTravel, count: int) -> None:
    travel.put(*(encode(each, travel.deployment_id) for each in dispatches(count)))


def of_the_other_type(travel: RabbitTravel) -> RabbitTravel:
    (other,) = set(QueueType) - {travel.queue_type}
    return RabbitTravel(travel.url, travel.deployment_id, other)


def errors(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What this module has said; pika has its own say about queues that are not there."""
    return [each for each in caplog.records if each.name == queue_depth.__name__]


async def test_what_waits_is_counted_in_the_queues_of_the_type_that_is_set(
    travel: RabbitTravel, caplog: pytest.LogCaptureFixture
) -> None:
    put(of_the_other_type(travel), 2)
    assert await depths(travel).ready(QUEUE) == 0
    put(travel, 3)
    assert await depths(travel).ready(QUEUE) == 3
    assert not errors(caplog), "nobody consumes any of them, and that is no mistake"


async def test_a_broker_that_is_away_says_nothing(deployment_id: bytes) -> None:
    assert await RabbitDepths(NOBODY, deployment_id).ready(QUEUE) is None


async def test_workers_that_consume_the_other_type_of_queue_are_told_of_once(
    travel: RabbitTravel, caplog: pytest.LogCaptureFixture
) -> None:
    put(travel, 1)
    other = of_the_other_type(travel)
    asking = depths(travel)
    with working(other.broker(FakeIntake(slots=10))) as ran:
        put(other, 1)
        eventually(lambda: len(ran.tasks) == 1)
        assert await asking.ready(QUEUE) == 1
        assert await asking.ready(QUEUE) == 1
    (said,) = errors(caplog)
    assert "TASKWIRE_RABBITMQ_QUEUE_TYPE" in said.getMessage()
    assert (said.__dict__["queue"], said.__dict__["kind"]) == (QUEUE, other.queue_type.value)
