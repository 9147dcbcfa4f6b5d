"""Dramatiq's and pika's internals that we build on: an upgrade that moves one fails here."""

from __future__ import annotations

import inspect
import uuid
from importlib.metadata import version

import dramatiq.worker
from dramatiq import Actor, Worker
from dramatiq.broker import Broker, Consumer, MessageProxy
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.worker import ConsumerThread, WorkerThread
from pika.connection import Connection

from taskwire_broker.claiming_broker import ClaimingBroker
from taskwire_broker.claiming_consumer import ClaimingConsumer
from taskwire_broker.embedded import EmbeddedBroker, EmbeddedExchange
from taskwire_broker.rabbit_broker import TaskwireBroker
from taskwire_broker.topology import broker_queue
from tests.support.eventually import eventually
from tests.support.intake import FakeIntake

NOBODY = "amqp://guest:guest@127.0.0.1:1/"


def test_the_version_is_the_one_that_was_read() -> None:
    assert version("dramatiq").startswith("2.2.")


def test_every_consumer_call_of_the_worker_is_ours() -> None:
    calls = {name for name in vars(Consumer) if not name.startswith("__") or name == "__next__"}
    assert calls == {"ack", "nack", "requeue", "close", "__next__"}
    assert calls <= set(vars(ClaimingConsumer))


def test_brokers_are_asked_with_the_signatures_that_we_override() -> None:
    for name in ("consume", "enqueue"):
        stock = inspect.signature(getattr(Broker, name)).parameters
        ours = inspect.signature(getattr(ClaimingBroker, name)).parameters
        assert list(stock) == list(ours), name
    assert list(inspect.signature(RabbitmqBroker.declare_queue).parameters) == list(
        inspect.signature(ClaimingBroker.declare_queue).parameters
    )


def test_ours_comes_before_dramatiqs_wherever_both_have_a_method() -> None:
    for name in ("consume", "declare_queue", "enqueue", "get_declared_queues"):
        assert getattr(TaskwireBroker, name) is getattr(ClaimingBroker, name)
        assert getattr(EmbeddedBroker, name) is getattr(ClaimingBroker, name)


def test_the_worker_calls_the_consumer_where_we_expect_it() -> None:
    loop = inspect.getsource(ConsumerThread.run)
    assert "for message in self.consumer" in loop
    assert "self.consumers[message.queue_name].post_process_message(message)" in inspect.getsource(
        WorkerThread.process_message
    )
    ending = inspect.getsource(ConsumerThread.post_process_message)
    assert "self.consumer.ack(message)" in ending
    assert "self.consumer.nack(message)" in ending


def test_making_a_broker_connects_to_nothing_and_brings_no_middleware() -> None:
    broker = TaskwireBroker(NOBODY, deployment_id=uuid.uuid4().bytes, intake=FakeIntake(slots=1))
    assert broker.middleware == []
    broker.declare_queue("tw1.default.00000000")
    assert broker.connections == set()
    assert broker.delay_queues == set()


def test_the_worker_makes_one_consumer_per_queue_and_none_for_delays() -> None:
    deployment = uuid.uuid4().bytes
    broker = EmbeddedBroker(
        EmbeddedExchange(), deployment_id=deployment, intake=FakeIntake(slots=1)
    )
    name = broker_queue("default", deployment)
    Actor(lambda: None, broker=broker, actor_name="x", queue_name=name, priority=0, options={})
    worker = Worker(broker, worker_threads=1, worker_timeout=50)
    worker.start()
    try:
        assert set(worker.consumers) == {name}
        eventually(lambda: worker.consumers[name].consumer is not None)
    finally:
        worker.stop(5000)


def test_a_message_proxy_passes_the_messages_fields_on() -> None:
    assert "__getattr__" in vars(MessageProxy)
    assert dramatiq.worker.CONSUMER_RESTART_DELAY >= 0, "which our consumers never reach"


def test_pika_has_the_call_that_sends_several_frames_at_once() -> None:
    parameters = list(inspect.signature(Connection._output_marshaled_frames).parameters)
    assert parameters == ["self", "marshaled_frames"]
