"""What only a real RabbitMQ can do to us: cut connections, restart, lose queues, raise alarms."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator

import pika
import pytest
from msgspec.structs import replace

from taskwire_broker.envelope import encode
from taskwire_broker.patience import Patience
from taskwire_broker.topology import dead_letter_queue
from taskwire_core.errors import ConfigurationError
from taskwire_core.ids import to_text
from taskwire_core.queue_type import QueueType
from taskwire_core.task import Dispatch
from tests.chaos.proxies import Proxies, Proxy
from tests.support.brokers import (
    Answers,
    RabbitTravel,
    dispatches,
    worker_threads,
    working,
)
from tests.support.eventually import eventually, eventually_async
from tests.support.intake import FakeIntake
from tests.support.servers import RabbitServer

pytestmark = pytest.mark.servers


both_types = pytest.mark.parametrize("queue_type", list(QueueType))
"""For what the type of a queue may have a say in; the others are about connections.

Not for a queue that is deleted under its consumer: when a quorum queue of RabbitMQ 3.10 is
declared again at once its consumer is at times neither told nor sent anything.
"""


@pytest.fixture
def queue_type() -> QueueType:
    return QueueType.CLASSIC


@pytest.fixture
def travel(rabbit: RabbitServer, deployment_id: bytes, queue_type: QueueType) -> RabbitTravel:
    return RabbitTravel(rabbit.url, deployment_id, queue_type)


@pytest.fixture
def killable(
    killable_rabbit: RabbitServer, deployment_id: bytes, queue_type: QueueType
) -> RabbitTravel:
    return RabbitTravel(killable_rabbit.url, deployment_id, queue_type)


@pytest.fixture
def proxy(proxies: Proxies, rabbit: RabbitServer) -> Iterator[Proxy]:
    proxy = proxies.before(rabbit.port)
    yield proxy
    proxy.close()


def put(travel: RabbitTravel, sent: list[Dispatch]) -> None:
    travel.put(*(encode(each, travel.deployment_id) for each in sent))


def through(proxy: Proxy, deployment_id: bytes) -> RabbitTravel:
    return RabbitTravel(f"amqp://guest:guest@127.0.0.1:{proxy.port}/%2f", deployment_id)


@both_types
def test_a_task_that_ends_after_its_channel_closed_acknowledges_no_other(
    killable_rabbit: RabbitServer, killable: RabbitTravel
) -> None:
    """Stock Dramatiq acks the old delivery tag on the new channel and loses a task (traps 3)."""
    finish = threading.Event()

    def run() -> None:
        finish.wait(30)

    intake = FakeIntake(slots=2)
    put(killable, dispatches(2))
    broker = killable.broker(intake, Patience(hold=30))
    with working(broker, then=run) as ran:
        eventually(lambda: len(ran.tasks) == 2)
        innocent = dispatches(5)
        put(killable, innocent)
        # They are held, unclaimed, with delivery tags that the first two had before.
        eventually(lambda: broker.held == 5)
        killable_rabbit.close_all_connections()
        eventually(lambda: broker.held == 0)
        intake.finish()
        eventually(lambda: broker.held == 4 and len(intake.mine) == 3, within=15)

        finish.set()
        eventually(lambda: len(ran.tasks) == 3)
        assert broker.held == 4
        broker.drain(5)

    # Whatever was not claimed is still in the queue.
    eventually(lambda: killable.ready() == 4)


@both_types
def test_connections_closed_again_and_again_lose_and_repeat_nothing(
    killable_rabbit: RabbitServer, killable: RabbitTravel
) -> None:
    sent = dispatches(3000)
    intake = FakeIntake(slots=16)
    put(killable, sent)

    with working(killable.broker(intake), then=intake.finish, threads=4) as ran:
        threads = set(worker_threads())
        for _ in range(3):
            count = len(ran.tasks)
            killable_rabbit.close_all_connections()
            eventually(lambda count=count: len(ran.tasks) > count or len(ran.tasks) == 3000)  # type: ignore[misc]
        eventually(lambda: len(ran.tasks) == 3000, within=30)
        assert set(worker_threads()) == threads

    assert sorted(ran.tasks) == sorted(to_text(each.task_id) for each in sent)
    assert killable.ready() == 0


def test_a_consumer_is_back_at_once_and_leaks_no_connection(
    killable_rabbit: RabbitServer, killable: RabbitTravel
) -> None:
    intake = FakeIntake(slots=1000)
    put(killable, dispatches(1))
    with working(killable.broker(intake)) as ran:
        eventually(lambda: len(ran.tasks) == 1)
        took_s: list[float] = []
        for turn in range(3):
            killable_rabbit.close_all_connections()
            started = time.monotonic()
            put(killable, dispatches(1))
            eventually(lambda turn=turn: len(ran.tasks) == turn + 2)  # type: ignore[misc]
            took_s.append(time.monotonic() - started)
        # Dramatiq's own consumer would wait for 3 s first, each time.
        assert min(took_s) < 2, took_s
        eventually(lambda: connections(killable_rabbit) == 1)
    eventually(lambda: connections(killable_rabbit) == 0)


def connections(server: RabbitServer) -> int:
    return len(server.ctl("list_connections", "--no-table-headers", "pid").splitlines())


@both_types
def test_a_worker_outlives_a_killed_broker(
    killable_rabbit: RabbitServer, killable: RabbitTravel
) -> None:
    intake = FakeIntake(slots=1000)
    with working(killable.broker(intake)) as ran:
        threads = set(worker_threads())
        put(killable, dispatches(1))
        eventually(lambda: len(ran.tasks) == 1)
        killable_rabbit.write_names()

        killable_rabbit.kill()
        killable_rabbit.start()

        put(killable, dispatches(1))
        eventually(lambda: len(ran.tasks) == 2)
        assert set(worker_threads()) == threads


@both_types
async def test_a_broker_killed_while_publishing_answers_everything_and_loses_nothing(
    killable_rabbit: RabbitServer, killable: RabbitTravel
) -> None:
    answers = Answers()
    publisher = killable.publisher(answers)
    await publisher.start()
    await eventually_async(lambda: publisher.connected)
    assert killable.ready() == 0
    killable_rabbit.write_names()
    sent = dispatches(6000)

    publisher.publish(sent)
    await eventually_async(lambda: len(answers.confirmed) > 500)
    killable_rabbit.kill()

    await eventually_async(lambda: answers.count == 6000)
    assert answers.refused, "it was killed in the middle"
    assert publisher.unanswered == 0
    publisher.publish(again := dispatches(3))
    await eventually_async(lambda: answers.count == 6003)
    assert set(again) <= set(answers.refused)

    killable_rabbit.start()
    await eventually_async(lambda: answers.connects == 2)
    repeat, answers.refused = answers.refused, []
    publisher.publish(repeat)
    await eventually_async(lambda: not publisher.unanswered)
    assert set(answers.confirmed) == {*sent, *again}
    await publisher.close(5)

    with working(killable.broker(FakeIntake(slots=100_000))) as ran:
        eventually(lambda: len(ran.tasks) == 6003, within=20)


async def test_a_broker_that_is_down_at_the_start_is_found_later(
    killable_rabbit: RabbitServer, killable: RabbitTravel
) -> None:
    killable_rabbit.stop()
    answers = Answers()
    publisher = killable.publisher(answers)
    await publisher.start()
    publisher.publish(dispatches(2))
    await eventually_async(lambda: len(answers.refused) == 2)

    killable_rabbit.start()

    await eventually_async(lambda: answers.connects == 1 and publisher.connected)
    publisher.publish(dispatches(2))
    await eventually_async(lambda: len(answers.confirmed) == 2)
    await publisher.close(5)


@both_types
async def test_a_queue_that_was_deleted_refuses_once_and_is_declared_again(
    travel: RabbitTravel,
) -> None:
    answers = Answers()
    publisher = travel.publisher(answers)
    await publisher.start()
    await eventually_async(lambda: publisher.connected)
    publisher.publish(dispatches(1))
    await eventually_async(lambda: len(answers.confirmed) == 1)

    delete_queue(travel)
    # With versions, which the gateway knows and the messages that come back do not carry.
    lost = [replace(each, version=1) for each in dispatches(3)]
    publisher.publish(lost)
    await eventually_async(lambda: answers.refused == lost)
    publisher.publish(lost)
    await eventually_async(lambda: len(answers.confirmed) == 4)

    assert travel.ready() == 3
    assert answers.connects == 1
    await publisher.close(5)


def test_a_queue_deleted_under_a_consumer_is_declared_again(travel: RabbitTravel) -> None:
    with working(travel.broker(FakeIntake(slots=100))) as ran:
        put(travel, dispatches(1))
        eventually(lambda: len(ran.tasks) == 1)
        delete_queue(travel)
        put(travel, dispatches(1))
        eventually(lambda: len(ran.tasks) == 2)


def delete_queue(travel: RabbitTravel) -> None:
    name = travel.name()
    connection = pika.BlockingConnection(pika.URLParameters(travel.url))
    channel = connection.channel()
    channel.queue_delete(name)
    channel.queue_delete(dead_letter_queue(name))
    connection.close()


async def test_a_queue_with_other_arguments_refuses_and_does_not_stop_other_queues(
    travel: RabbitTravel,
) -> None:
    name = travel.name("strange")
    connection = pika.BlockingConnection(pika.URLParameters(travel.url))
    connection.channel().queue_declare(name, durable=True, arguments={"x-max-length": 7})
    answers = Answers()
    publisher = travel.publisher(answers)
    await publisher.start()
    await eventually_async(lambda: publisher.connected)

    publisher.publish(strange := dispatches(2, queue="strange"))

    await eventually_async(lambda: answers.refused == strange)
    publisher.publish(dispatches(1))
    await eventually_async(lambda: len(answers.confirmed) == 1)
    assert answers.connects == 1
    connection.channel().queue_delete(name)
    connection.close()
    await publisher.close(5)


@both_types
async def test_a_memory_alarm_refuses_what_is_new_and_keeps_what_was_sent(
    killable_rabbit: RabbitServer, killable: RabbitTravel
) -> None:
    answers = Answers()
    publisher = killable.publisher(answers)
    await publisher.start()
    await eventually_async(lambda: publisher.connected)
    publisher.publish(dispatches(1))
    await eventually_async(lambda: len(answers.confirmed) == 1)

    killable_rabbit.ctl("set_vm_memory_high_watermark", "0.000001")
    # RabbitMQ tells a publisher of the alarm when it publishes.
    publisher.publish(sent := dispatches(2))
    await eventually_async(lambda: not publisher.connected)
    publisher.publish(late := dispatches(2))
    await eventually_async(lambda: answers.refused == late)
    assert publisher.unanswered == 2

    killable_rabbit.ctl("set_vm_memory_high_watermark", "0.4")
    await eventually_async(lambda: answers.connects == 2)
    await eventually_async(lambda: answers.confirmed[1:] == sent)
    await publisher.close(5)


async def test_a_publisher_behind_a_silent_network_gives_up_and_reconnects(
    proxy: Proxy, deployment_id: bytes
) -> None:
    travel = through(proxy, deployment_id)
    # The client's own watchdog: pika looks every heartbeat + 5 s.
    travel.url += "?heartbeat=1"
    answers = Answers()
    publisher = travel.publisher(answers)
    await publisher.start()
    await eventually_async(lambda: publisher.connected)

    proxy.blackhole()
    publisher.publish(sent := dispatches(5))
    await eventually_async(lambda: answers.refused == sent, within=20)
    proxy.heal()

    await eventually_async(lambda: answers.connects == 2, within=20)
    await publisher.close(5)


def test_a_consumer_behind_a_silent_network_gives_up_and_reconnects(
    proxy: Proxy, travel: RabbitTravel
) -> None:
    silent = through(proxy, travel.deployment_id)
    silent.url += "?heartbeat=1&stack_timeout=2&socket_timeout=2"
    with working(silent.broker(FakeIntake(slots=100))) as ran:
        put(travel, dispatches(1))
        eventually(lambda: len(ran.tasks) == 1)
        accepted = proxy.accepted

        proxy.blackhole()
        eventually(lambda: proxy.accepted > accepted, within=20)
        proxy.heal()

        put(travel, dispatches(1))
        eventually(lambda: len(ran.tasks) == 2, within=20)


@pytest.mark.parametrize("url", ["", "http://host", "amqp://user:hunter2@host:port/x?heartbeat=x"])
def test_a_bad_url_is_one_line_that_does_not_quote_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="TASKWIRE_RABBITMQ_URL") as problem:
        RabbitTravel(url, uuid.uuid4().bytes).broker(FakeIntake(slots=1))
    assert "hunter2" not in str(problem.value)
    assert "\n" not in str(problem.value)
