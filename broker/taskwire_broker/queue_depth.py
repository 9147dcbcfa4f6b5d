"""How many messages wait in a queue: asked rarely, on a connection that is closed again.

Only the keeper asks, and only when rows look stranded; a connection kept for that would be
one more that has to be watched. Whoever asks also sees a queue that nobody consumes, and so is
the first to notice workers that were given the other type of queues.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, NamedTuple

import pika
from pika.exceptions import AMQPError, ChannelClosedByBroker

from taskwire_broker.connection import connection_parameters
from taskwire_broker.topology import broker_queue
from taskwire_core.queue_type import QueueType

_NO_SUCH_QUEUE = 404
# Busy workers do not consume either, and RabbitMQ and pika log each question about a queue that is
# not there.
_OTHER_TYPE_EVERY_S = 600.0

log = logging.getLogger(__name__)


class _Depth(NamedTuple):
    messages: int = 0
    consumers: int = 0


class RabbitDepths:
    """Asks RabbitMQ; see the gateway's `QueueDepths`.

    Raises:
        ConfigurationError: the URL cannot be used.
    """

    def __init__(
        self, url: str, deployment_id: bytes, queue_type: QueueType = QueueType.CLASSIC
    ) -> None:
        self._parameters = connection_parameters(url, "taskwire gateway keeper")
        self._deployment_id = deployment_id
        self._type = queue_type
        self._other_type_asked: dict[str, float] = {}

    async def ready(self, queue: str) -> int | None:
        """How many messages wait in `queue`; 0 when it is gone, None when nobody answers."""
        return await asyncio.to_thread(self._ready, queue)

    def _ready(self, queue: str) -> int | None:
        try:
            connection = pika.BlockingConnection(self._parameters)
        except (AMQPError, OSError):
            return None
        try:
            found = self._depth(connection, queue, self._type)
            if not found.consumers:
                self._look_at_the_other_type(connection, queue)
            return found.messages
        except (AMQPError, OSError):
            return None
        finally:
            if connection.is_open:
                connection.close()

    def _depth(self, connection: Any, queue: str, type: QueueType) -> _Depth:  # pika has no types
        name = broker_queue(queue, self._deployment_id, type)
        try:
            found = connection.channel().queue_declare(name, passive=True).method
        except ChannelClosedByBroker as error:
            if error.reply_code != _NO_SUCH_QUEUE:
                raise
            return _Depth()
        return _Depth(found.message_count, found.consumer_count)

    def _look_at_the_other_type(self, connection: Any, queue: str) -> None:
        now = time.monotonic()
        if now - self._other_type_asked.get(queue, -_OTHER_TYPE_EVERY_S) < _OTHER_TYPE_EVERY_S:
            return
        self._other_type_asked[queue] = now
        for other in set(QueueType) - {self._type}:
            if self._depth(connection, queue, other).consumers:
                log.error(
                    "Tasks wait where no worker looks: the workers consume the other type of queue."
                    " Give all processes the same TASKWIRE_RABBITMQ_QUEUE_TYPE",
                    extra={"queue": queue, "kind": other.value},
                )
