"""A stream in both directions whose messages are worked on side by side, each with one answer.

At most so many of them, and so many bytes of them and of their answers, are unanswered at a time:
then nothing more is received. An answer counts as given when it is sent, so that a caller who does
not read is not read either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from google.protobuf.message import Message

from taskwire_core.failpoints import ARMED, hit
from taskwire_gateway.admission import draining
from taskwire_gateway.rpc.calls import Receive, Send

Item = TypeVar("Item", bound=Message)


class SideBySide(Generic[Item]):
    """One stream. `work` makes the answer to one message, errors included."""

    def __init__(
        self,
        receive: Receive[Item],
        work: Callable[[Item], Awaitable[Message]],
        *,
        most_items: int,
        most_bytes: int,
    ) -> None:
        self._receive = receive
        self._work = work
        self._most_items = most_items
        self._most_bytes = most_bytes
        self._items = 0
        self._bytes = 0
        self._room = asyncio.Event()
        self._answers: asyncio.Queue[tuple[Message, int] | None] = asyncio.Queue()
        self._working: set[asyncio.Task[None]] = set()
        self._reading: asyncio.Task[None] | None = None
        self._receiving = False
        self._stopped = False

    async def serve(self, send: Send) -> None:
        """Answer until the caller has sent all and got all of its answers.

        Raises:
            RequestError: a message was malformed, or `stop` was called; what was received
                before is answered all the same.
        """
        self._reading = asyncio.create_task(self._receive_all())
        try:
            while (answer := await self._answers.get()) is not None:
                message, size = answer
                await send(message)
                if ARMED:
                    hit("submit.acknowledged")
                self._leave(size)
        finally:
            begun = [self._reading, *self._working]
            for task in begun:
                task.cancel()
            await asyncio.gather(*begun, return_exceptions=True)
        self._reading.result()

    def stop(self) -> None:
        """Receive nothing more, and end when what was received is answered."""
        self._stopped = True
        # A task that is cancelled before its first step never runs, nor what it does at its end.
        if self._receiving and self._reading is not None:
            self._reading.cancel()

    async def _receive_all(self) -> None:
        self._receiving = True
        try:
            await self._receive_some()
        finally:
            self._receiving = False
            if self._working:
                await asyncio.wait(list(self._working))
            self._answers.put_nowait(None)

    async def _receive_some(self) -> None:
        if self._stopped:
            raise draining()
        try:
            while (item := await self._next()) is not None:
                self._begin(item)
        except asyncio.CancelledError:
            if not self._stopped:
                raise
            raise draining() from None

    async def _next(self) -> Item | None:
        while self._items >= self._most_items or self._bytes >= self._most_bytes:
            self._room.clear()
            await self._room.wait()
        return await self._receive()

    def _begin(self, item: Item) -> None:
        size = item.ByteSize()
        self._items += 1
        self._bytes += size
        task = asyncio.create_task(self._answer(item, size))
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    async def _answer(self, item: Item, size: int) -> None:
        answer = await self._work(item)
        waiting = answer.ByteSize()
        self._bytes += waiting
        self._answers.put_nowait((answer, size + waiting))

    def _leave(self, size: int) -> None:
        self._items -= 1
        self._bytes -= size
        self._room.set()
