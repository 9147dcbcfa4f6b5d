"""One connection of the publisher with its one channel, from the first byte to the last.

It turns pika's callbacks into calls of its owner, on the owner's event loop. pika publishes
no types, so its connections, channels and frames are `Any` in this file.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol

import pika
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.exceptions import AMQPError, ChannelClosedByBroker, ChannelClosedByClient
from pika.spec import Basic

from taskwire_broker.topology import dead_letter_arguments, dead_letter_queue, queue_arguments

_PERSISTENT = pika.BasicProperties(delivery_mode=2, content_type="application/json")

_ENDING_S = 1.0

log = logging.getLogger(__name__)


class LinkOwner(Protocol):
    """Who is told what the broker says."""

    def confirmed(self, tag: int, *, multiple: bool, positive: bool) -> None:
        """The broker has (`positive`) or refuses the message `tag`, or all up to it."""

    def returned(self, link: PublisherLink, name: str, body: bytes) -> None:
        """The broker has no queue `name` for this message; its confirm follows."""

    def blocked(self) -> None:
        """The broker stops reading (memory or disk alarm)."""

    def unblocked(self) -> None:
        """The broker reads again."""


class PublisherLink:
    """Opens itself when it is made. `declared` holds the queues that it has declared."""

    def __init__(self, publisher: LinkOwner, parameters: pika.URLParameters) -> None:
        loop = asyncio.get_running_loop()
        self._publisher = publisher
        self.closed = asyncio.Event()
        self._tried = asyncio.Event()
        self._confirming = False
        self._channel: Any = None
        self.declared: set[str] = set()
        self.last_tag = 0
        self._unsent: list[bytes] = []
        self._blocked = False
        self._closing = False
        self._connection: Any = AsyncioConnection(
            parameters,
            on_open_callback=self._open_channel,
            on_open_error_callback=self._ended,
            on_close_callback=self._ended,
            custom_ioloop=loop,
        )

    async def opened(self) -> bool:
        """Whether the connection could be opened and confirms are on."""
        await self._tried.wait()
        return self._confirming

    @property
    def usable(self) -> bool:
        """Whether the broker reads what is sent now."""
        return not (self._blocked or self._closing)

    def send(self, queue: str, body: bytes) -> None:
        """Write one persistent message for the next `flush`; its delivery tag is `last_tag`."""
        self.last_tag += 1
        number = self._channel.channel_number
        self._unsent += (
            _publish_frame(number, queue),
            _header_frame(number, len(body)),
            pika.frame.Body(number, body).marshal(),
        )

    def flush(self) -> None:
        """Send what was written.

        pika's `basic_publish` makes three system calls for each message and costs 50 µs. The
        frames here are pika's own, but they leave in one piece.
        """
        unsent, self._unsent = self._unsent, []
        if unsent and self._channel.is_open:
            self._connection._output_marshaled_frames([b"".join(unsent)])

    def declare(self, name: str, then: Callable[[bool], None]) -> None:
        """Declare the queue and its dead-letter queue, then call `then` with whether it worked.

        On a channel of its own: the broker closes the channel of a declaration that contradicts
        an existing queue, and all other queues are published to meanwhile.
        """

        def opened(channel: Any) -> None:
            channel.add_on_close_callback(closed)
            channel.queue_declare(
                dead_letter_queue(name),
                durable=True,
                arguments=dead_letter_arguments(name),
                callback=lambda _frame: None,
            )
            channel.queue_declare(
                name,
                durable=True,
                arguments=queue_arguments(name),
                callback=lambda _frame: channel.close(),
            )

        def closed(_channel: Any, reason: Exception) -> None:
            worked = isinstance(reason, ChannelClosedByClient)
            if worked:
                self.declared.add(name)
            elif isinstance(reason, ChannelClosedByBroker):
                log.error("RabbitMQ refuses a queue", extra={"queue": name, "problem": str(reason)})
            then(worked)

        try:
            self._connection.channel(on_open_callback=opened)
        except AMQPError:
            self._close_connection()

    async def end(self) -> None:
        """Close the connection if it is open, and wait until it is, but not for long."""
        # pika stumbles over its own callbacks when it is closed in the middle of opening.
        await _briefly(self._tried)
        self._close_connection()
        await _briefly(self.closed)

    def _open_channel(self, connection: Any) -> None:
        connection.add_on_connection_blocked_callback(self._on_blocked)
        connection.add_on_connection_unblocked_callback(self._on_unblocked)
        connection.channel(on_open_callback=self._ask_for_confirms)

    def _ask_for_confirms(self, channel: Any) -> None:
        self._channel = channel
        channel.add_on_close_callback(self._channel_closed)
        channel.add_on_return_callback(self._on_return)
        channel.confirm_delivery(self._on_confirm, callback=self._on_ready)

    def _on_ready(self, _frame: Any) -> None:
        self._confirming = True
        self._tried.set()

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        self._publisher.confirmed(
            method.delivery_tag,
            multiple=method.multiple,
            positive=isinstance(method, Basic.Ack),
        )

    def _on_return(self, _channel: Any, method: Any, _properties: Any, body: bytes) -> None:
        self._publisher.returned(self, method.routing_key, body)

    def _on_blocked(self, _connection: Any, _frame: Any) -> None:
        self._blocked = True
        self._publisher.blocked()

    def _on_unblocked(self, _connection: Any, _frame: Any) -> None:
        self._blocked = False
        self._publisher.unblocked()

    def _channel_closed(self, _channel: Any, reason: Exception) -> None:
        if isinstance(reason, ChannelClosedByBroker):
            log.error("RabbitMQ closed the publishing channel", extra={"reason": str(reason)})
        self._close_connection()

    def _ended(self, _connection: Any, _reason: Any) -> None:
        self._tried.set()
        self._closing = True
        self.closed.set()

    def _close_connection(self) -> None:
        self._closing = True
        if not (self._connection.is_closing or self._connection.is_closed):
            self._connection.close()


async def _briefly(event: asyncio.Event) -> None:
    # Not `wait_for`: before Python 3.12 it can swallow a cancellation.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_ENDING_S):
            await event.wait()


@lru_cache(maxsize=4096)
def _publish_frame(channel: int, queue: str) -> bytes:
    publish = Basic.Publish(exchange="", routing_key=queue, mandatory=True)
    frame: bytes = pika.frame.Method(channel, publish).marshal()
    return frame


@lru_cache(maxsize=4096)
def _header_frame(channel: int, size: int) -> bytes:
    frame: bytes = pika.frame.Header(channel, size, _PERSISTENT).marshal()
    return frame
