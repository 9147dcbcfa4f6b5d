"""One stream to a Redis server in subscriber mode, as an asyncio protocol (RESP2)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import cast

import hiredis

log = logging.getLogger(__name__)


class Session(asyncio.Protocol):
    """Calls `on_push(kind, body)` for everything that is not an answer to a PING."""

    def __init__(self, *, on_push: Callable[[bytes, bytes], None]) -> None:
        self._on_push = on_push
        self._reader = hiredis.Reader()
        self._transport: asyncio.Transport | None = None
        self._closed = asyncio.Event()
        self._pong = asyncio.Event()
        self._heard = False
        self._unsent: list[bytes] = []

    async def introduce(self, credentials: tuple[str, ...], timeout: float) -> None:
        """Log in, and wait until the server is ready to talk.

        Raises:
            OSError, TimeoutError: it refuses, or says nothing.
        """
        if credentials:
            self.send("AUTH", *credentials)
        await self.ping(timeout)

    def send(self, *words: str) -> None:
        """Send one command; the commands of one turn of the loop leave in one piece."""
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._flush)
        # hiredis' stub says a tuple of one word; it means of any number.
        self._unsent.append(hiredis.pack_command(words))  # type: ignore[arg-type]

    async def ping(self, timeout: float) -> None:
        """Returns when the server answers.

        Raises:
            TimeoutError: it did not within `timeout` seconds.
            ConnectionError: it closed the connection instead.
        """
        self._pong.clear()
        self.send("PING")
        async with asyncio.timeout(timeout):
            await self._pong.wait()
        if self._closed.is_set():
            raise ConnectionError("Redis closed the connection")

    async def closed_within(self, seconds: float) -> bool:
        """Whether the connection ended during the next `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._closed.wait()
        except TimeoutError:
            return False
        return True

    def heard_since_asked(self) -> bool:
        """Whether anything came since the last call."""
        heard, self._heard = self._heard, False
        return heard

    def abort(self) -> None:
        """Drop the connection without another word."""
        if self._transport is not None:
            self._transport.abort()

    # -- asyncio's side -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # The cast is asyncio's own promise for streams.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed.set()
        self._pong.set()

    def data_received(self, data: bytes) -> None:
        self._heard = True
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not False:
                self._replied(reply)
        except hiredis.ProtocolError:
            log.error("Redis sent something that is not its protocol")
            self.abort()

    def _replied(self, reply: object) -> None:
        if isinstance(reply, list):
            kind, *rest = reply
            if kind == b"pong":
                self._pong.set()
            else:
                self._on_push(kind, rest[-1])
        elif reply == b"PONG":
            self._pong.set()
        elif isinstance(reply, hiredis.ReplyError):
            # For instance a wrong password, or a server that is still loading its data. The
            # first word is Redis' name of the error; the rest may quote what we sent.
            log.error("Redis refused a command", extra={"problem": str(reply).split(" ")[0]})
            self.abort()

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(unsent))
