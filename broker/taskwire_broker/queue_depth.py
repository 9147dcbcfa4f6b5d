"""How many messages wait in a queue: asked rarely, on a connection that is closed again.

Only the keeper asks, and only when rows look stranded; a connection kept for that would be
one more that has to be watched.
"""

from __future__ import annotations

import asyncio

import pika
from pika.exceptions import AMQPError, ChannelClosedByBroker

from taskwire_broker.connection import connection_parameters
from taskwire_broker.topology import broker_queue

_NO_SUCH_QUEUE = 404


class RabbitDepths:
    """Asks RabbitMQ; see the gateway's `QueueDepths`.

    Raises:
        ConfigurationError: the URL cannot be used.
    """

    def __init__(self, url: str, deployment_id: bytes) -> None:
        self._parameters = connection_parameters(url, "taskwire gateway keeper")
        self._deployment_id = deployment_id

    async def ready(self, queue: str) -> int | None:
        """How many messages wait in `queue`; 0 when it is gone, None when nobody answers."""
        return await asyncio.to_thread(self._ready, broker_queue(queue, self._deployment_id))

    def _ready(self, name: str) -> int | None:
        try:
            connection = pika.BlockingConnection(self._parameters)
        except (AMQPError, OSError):
            return None
        try:
            found = connection.channel().queue_declare(name, passive=True)
            return int(found.method.message_count)
        except ChannelClosedByBroker as error:
            return 0 if error.reply_code == _NO_SUCH_QUEUE else None
        except (AMQPError, OSError):
            return None
        finally:
            if connection.is_open:
                connection.close()
