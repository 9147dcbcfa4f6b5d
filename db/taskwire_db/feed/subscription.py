"""One connection to Redis that only listens, and knows when it is deaf.

It speaks the protocol by itself, with hiredis' parser: redis-py's asynchronous pub/sub can
wait on a half-open socket for ever (redis-py#2417). Nothing heard for `quiet` seconds is
answered with a PING, and no sign of life within `patience` seconds with a new connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from taskwire_core.reconnect import reconnect_pauses
from taskwire_db.feed.address import read_address
from taskwire_db.feed.session import Session

_HANDSHAKE_TIMEOUT_S = 5.0
# The acknowledgements of 10,000 channels take well under a second.
_RESUBSCRIBE_TIMEOUT_S = 15.0
_CHANNELS_PER_COMMAND = 500

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Channel:
    """How many want it, and whether the server is known to have subscribed it.

    `sent` counts the SUBSCRIBEs of this connection that are not acknowledged yet: one that
    followed an UNSUBSCRIBE must not take the acknowledgement of the one before for its own.
    """

    wanted: int = 0
    sent: int = 0
    heard: asyncio.Event = field(default_factory=asyncio.Event)


class Subscription:
    """Calls `on_message(channel, body)` and, whenever it listens anew, `on_listening()`.

    Both run on the event loop that `start` was called on.
    """

    def __init__(
        self,
        url: str,
        *,
        on_message: Callable[[str, bytes], None],
        on_listening: Callable[[], None],
        quiet: float = 5.0,
        patience: float = 2.0,
    ) -> None:
        self._address = read_address(url)
        self._on_message = on_message
        self._on_listening = on_listening
        self._quiet = quiet
        self._patience = patience
        self._channels: dict[str, _Channel] = {}
        self._session: Session | None = None
        self._task: asyncio.Task[None] | None = None
        self._away = False

    @property
    def listening(self) -> bool:
        """Whether there is a connection now."""
        return self._session is not None

    async def start(self) -> None:
        """Begin to connect, and to reconnect for ever; returns at once."""
        self._task = asyncio.get_running_loop().create_task(self._stay_connected())

    async def close(self) -> None:
        """Disconnect; waiting calls of `subscribe` return."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def subscribe(self, name: str) -> None:
        """Listen to the channel `name`; returns when the server does, or is away."""
        channel = self._channels.setdefault(name, _Channel())
        channel.wanted += 1
        if channel.wanted == 1 and self._session is not None:
            self._send_subscribe(self._session, [name])
        try:
            if self._session is not None:
                await channel.heard.wait()
        except asyncio.CancelledError:
            self.unsubscribe(name)
            raise

    def unsubscribe(self, name: str) -> None:
        """Undo one `subscribe`."""
        channel = self._channels.get(name)
        if channel is None or not channel.wanted:
            return
        channel.wanted -= 1
        if channel.wanted:
            return
        channel.heard.clear()
        if self._session is not None:
            self._session.send("UNSUBSCRIBE", name)
        if not channel.sent:
            del self._channels[name]

    # -- connection ---------------------------------------------------------------------------

    async def _stay_connected(self) -> None:
        pauses = reconnect_pauses()
        while True:
            session = Session(on_push=self._pushed)
            try:
                await self._address.connect(lambda made=session: made)  # type: ignore[misc]
                await session.introduce(self._address.credentials, _HANDSHAKE_TIMEOUT_S)
                await self._listen_again(session)
                pauses = reconnect_pauses()
                await self._watch(session)
            except (OSError, TimeoutError) as problem:
                self._note_away(problem)
            finally:
                self._forget(session)
            await asyncio.sleep(next(pauses))

    def _note_away(self, problem: Exception) -> None:
        if not self._away:
            self._away = True
            log.warning("Redis cannot be heard", extra={"problem": type(problem).__name__})

    async def _listen_again(self, session: Session) -> None:
        """Subscribe to everything that is wanted, and say so when the server has."""
        self._session = session
        names = list(self._channels)
        for start in range(0, len(names), _CHANNELS_PER_COMMAND):
            self._send_subscribe(session, names[start : start + _CHANNELS_PER_COMMAND])
        # Acknowledgements come in order: the PONG is behind all of them.
        await session.ping(_RESUBSCRIBE_TIMEOUT_S)
        if self._away:
            self._away = False
            log.info("Redis is heard again")
        self._on_listening()

    async def _watch(self, session: Session) -> None:
        """Raises ConnectionError when the server closes, TimeoutError when it is silent."""
        while not await session.closed_within(self._quiet):
            if session.heard_since_asked():
                continue
            await session.ping(self._patience)
        raise ConnectionError("Redis closed the connection")

    def _forget(self, session: Session) -> None:
        self._session = None
        session.abort()
        for name, channel in list(self._channels.items()):
            channel.sent = 0
            # Nobody waits for a server that is away; their own look into SQL covers it.
            channel.heard.set()
            if channel.wanted:
                channel.heard = asyncio.Event()
            else:
                del self._channels[name]

    # -- what is said -------------------------------------------------------------------------

    def _send_subscribe(self, session: Session, names: list[str]) -> None:
        for name in names:
            self._channels[name].sent += 1
        session.send("SUBSCRIBE", *names)

    def _pushed(self, kind: bytes, name: str, body: bytes) -> None:
        if kind == b"message":
            self._on_message(name, body)
        elif kind == b"subscribe":
            self._acknowledged(name)

    def _acknowledged(self, name: str) -> None:
        channel = self._channels.get(name)
        if channel is None or not channel.sent:
            return
        channel.sent -= 1
        if channel.sent:
            return
        if channel.wanted:
            channel.heard.set()
        else:
            del self._channels[name]
