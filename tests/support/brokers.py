"""The two brokers behind one face, for tests that must hold for both.

A `Travel` is one deployment's way from publisher to workers: over a RabbitMQ server, or
through an exchange in memory. `put` and the counts look past the publisher and the consumer.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import pika
from dramatiq import Actor, Worker

from taskwire_broker.claiming_broker import ClaimingBroker
from taskwire_broker.embedded import EmbeddedBroker, EmbeddedExchange, EmbeddedPublisher
from taskwire_broker.patience import Patience
from taskwire_broker.ports import Intake, Publisher
from taskwire_broker.rabbit_broker import TaskwireBroker
from taskwire_broker.rabbit_publisher import RabbitPublisher
from taskwire_broker.topology import (
    broker_queue,
    dead_letter_arguments,
    dead_letter_queue,
    queue_arguments,
)
from taskwire_core.queue_type import QueueType
from taskwire_core.task import Dispatch

TYPE = "acme.images.v1.ImageTasks/MakeThumbnail"
QUEUE = "thumbnails"


def dispatches(count: int, *, queue: str = QUEUE, type: str = TYPE) -> list[Dispatch]:
    """`count` first dispatches of new tasks."""
    return [Dispatch(uuid.uuid4().bytes, type, queue, 1) for _ in range(count)]


class Answers:
    """What a publisher has answered."""

    def __init__(self) -> None:
        self.confirmed: list[Dispatch] = []
        self.refused: list[Dispatch] = []
        self.connects = 0

    @property
    def count(self) -> int:
        return len(self.confirmed) + len(self.refused)

    def on_connected(self) -> None:
        self.connects += 1


class Travel(Protocol):
    deployment_id: bytes

    def name(self, queue: str = QUEUE) -> str: ...
    def publisher(self, answers: Answers) -> Publisher: ...
    def broker(self, intake: Intake, patience: Patience | None = None) -> ClaimingBroker: ...
    def put(self, *bodies: bytes, queue: str = QUEUE) -> None: ...
    def ready(self, queue: str = QUEUE) -> int: ...
    def dead_letters(self, queue: str = QUEUE) -> int: ...


class EmbeddedTravel:
    def __init__(self, deployment_id: bytes) -> None:
        self.deployment_id = deployment_id
        self.exchange = EmbeddedExchange()

    def name(self, queue: str = QUEUE) -> str:
        """The exchange's name for the queue."""
        return broker_queue(queue, self.deployment_id)

    def publisher(self, answers: Answers) -> Publisher:
        return EmbeddedPublisher(
            self.exchange,
            self.deployment_id,
            on_confirmed=answers.confirmed.extend,
            on_refused=answers.refused.extend,
            on_connected=answers.on_connected,
        )

    def broker(self, intake: Intake, patience: Patience | None = None) -> ClaimingBroker:
        return EmbeddedBroker(
            self.exchange, deployment_id=self.deployment_id, intake=intake, patience=patience
        )

    def put(self, *bodies: bytes, queue: str = QUEUE) -> None:
        self.exchange.put(self.name(queue), bodies)

    def ready(self, queue: str = QUEUE) -> int:
        return self.exchange.ready(self.name(queue))

    def dead_letters(self, queue: str = QUEUE) -> int:
        return len(self.exchange.dead_letters.get(self.name(queue), ()))


class RabbitTravel:
    def __init__(
        self, url: str, deployment_id: bytes, queue_type: QueueType = QueueType.CLASSIC
    ) -> None:
        self.url = url
        self.deployment_id = deployment_id
        self.queue_type = queue_type

    def name(self, queue: str = QUEUE) -> str:
        """RabbitMQ's name for the queue."""
        return broker_queue(queue, self.deployment_id, self.queue_type)

    def publisher(self, answers: Answers) -> Publisher:
        return RabbitPublisher(
            self.url,
            self.deployment_id,
            queue_type=self.queue_type,
            on_confirmed=answers.confirmed.extend,
            on_refused=answers.refused.extend,
            on_connected=answers.on_connected,
        )

    def broker(self, intake: Intake, patience: Patience | None = None) -> ClaimingBroker:
        return TaskwireBroker(
            self.url,
            deployment_id=self.deployment_id,
            intake=intake,
            queue_type=self.queue_type,
            patience=patience,
        )

    def put(self, *bodies: bytes, queue: str = QUEUE) -> None:
        with self._declared(queue) as (channel, name, _counts):
            for body in bodies:
                channel.basic_publish("", name, body)

    def ready(self, queue: str = QUEUE) -> int:
        with self._declared(queue) as (_channel, _name, counts):
            return counts[0]

    def dead_letters(self, queue: str = QUEUE) -> int:
        with self._declared(queue) as (_channel, _name, counts):
            return counts[1]

    @contextmanager
    def _declared(self, queue: str) -> Iterator[tuple[Any, str, tuple[int, int]]]:
        """A channel, the queue's name, and how much waits in it and in its dead letters."""
        name = self.name(queue)
        connection = pika.BlockingConnection(pika.URLParameters(self.url))
        try:
            channel = connection.channel()
            channel.confirm_delivery()
            main = channel.queue_declare(name, durable=True, arguments=queue_arguments(name))
            dead = channel.queue_declare(
                dead_letter_queue(name), durable=True, arguments=dead_letter_arguments(name)
            )
            yield channel, name, (main.method.message_count, dead.method.message_count)
        finally:
            connection.close()


class Ran:
    """What the actor of a running worker was called with."""

    def __init__(self, then: Callable[[], None]) -> None:
        self.tasks: list[str] = []
        self._then = then

    def __call__(self, *, deployment: str, task: str, dispatch: int) -> None:
        self.tasks.append(task)
        self._then()


@contextmanager
def working(
    broker: ClaimingBroker,
    *,
    queues: Sequence[str] = (QUEUE,),
    type: str = TYPE,
    then: Callable[[], None] = lambda: None,
    threads: int = 2,
) -> Iterator[Ran]:
    """Dramatiq's own Worker on `broker`, with an actor for the type, consuming `queues`."""
    ran = Ran(then)
    names = [broker.name_of(queue) for queue in queues]
    Actor(ran, broker=broker, actor_name=type, queue_name=names[0], priority=0, options={})
    for name in names:
        broker.declare_queue(name)
    worker = Worker(broker, worker_threads=threads, worker_timeout=100)
    worker.start()
    try:
        yield ran
    finally:
        broker.drain(5)
        worker.stop(timeout=10_000)
        assert not any(
            thread.is_alive() for thread in [*worker.workers, *worker.consumers.values()]
        )


def worker_threads() -> list[threading.Thread]:
    """Dramatiq's threads that are alive now."""
    return [each for each in threading.enumerate() if type(each).__module__ == "dramatiq.worker"]
