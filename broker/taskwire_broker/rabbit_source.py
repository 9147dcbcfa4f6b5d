"""Deliveries from RabbitMQ: one connection per consumed queue, used by its consumer's thread.

pika publishes no types, so its connections, channels and frames are `Any` in this file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import pika
from pika.exceptions import AMQPError

from taskwire_broker.deliveries import Delivery, SourceLost
from taskwire_broker.topology import dead_letter_arguments, dead_letter_queue, queue_arguments


@contextlib.contextmanager
def _losses() -> Iterator[None]:
    """pika's errors as SourceLost; a broken state of pika's comes as an AssertionError."""
    try:
        yield
    except (AMQPError, AssertionError, OSError) as problem:
        raise SourceLost(type(problem).__name__) from problem


class RabbitSource:
    """See `taskwire_broker.deliveries.DeliverySource`."""

    def __init__(self, parameters: Sequence[pika.URLParameters], name: str) -> None:
        self._parameters = list(parameters)
        self._name = name
        self._connection: Any = None
        self._channel: Any = None
        self._arrived: list[Delivery] = []
        self._cancelled = False

    def open(self, prefetch: int) -> None:
        with _losses():
            if self._connection is None:
                self._connection = pika.BlockingConnection(self._parameters)
            self._arrived = []
            self._cancelled = False
            self._channel = channel = self._connection.channel()
            # Each time: somebody may have deleted the queue, and a consumer of a missing queue
            # closes its channel.
            channel.queue_declare(
                dead_letter_queue(self._name),
                durable=True,
                arguments=dead_letter_arguments(self._name),
            )
            channel.queue_declare(self._name, durable=True, arguments=queue_arguments(self._name))
            channel.basic_qos(prefetch_count=prefetch)
            channel.basic_consume(self._name, self._on_message)
            channel.add_on_cancel_callback(self._on_cancel)

    def receive(self, timeout: float) -> list[Delivery]:
        if self._connection is None:
            return []
        with _losses():
            # Deliveries may have come while an acknowledgement was being sent.
            self._connection.process_data_events(0 if self._arrived else timeout)
        if self._cancelled or (self._channel is not None and not self._channel.is_open):
            raise SourceLost("the broker ended the consumer")
        arrived, self._arrived = self._arrived, []
        return arrived

    def accept_through(self, tag: int) -> None:
        with _losses():
            self._channel.basic_ack(tag, multiple=True)

    def reject(self, tag: int) -> None:
        with _losses():
            self._channel.basic_nack(tag, requeue=False)

    def release(self) -> None:
        if self._channel is None:
            return
        channel, self._channel = self._channel, None
        self._arrived = []
        with _losses():
            # The broker puts back everything that is unacknowledged on a channel that closes,
            # in its old place; no list of tags can miss one that is on its way.
            channel.close()

    def close(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        self._arrived = []
        if connection is not None and connection.is_open:
            with contextlib.suppress(AMQPError, AssertionError, OSError):
                connection.close()

    def wake(self) -> None:
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(AMQPError):
                connection.add_callback_threadsafe(_nothing)

    def _on_message(self, _channel: Any, method: Any, _properties: Any, body: bytes) -> None:
        self._arrived.append(Delivery(method.delivery_tag, body))

    def _on_cancel(self, _frame: Any) -> None:
        # The queue was deleted under us; without a consumer the channel would stay silent.
        self._cancelled = True


def _nothing() -> None:
    """Only its arrival counts."""
