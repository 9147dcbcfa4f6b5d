"""One connection to Redis that only listens, and knows when it is deaf.

It speaks the protocol by itself, with hiredis' parser: redis-py's asynchronous pub/sub can
wait on a half-open socket for ever (redis-py#2417). Nothing heard for `quiet` seconds is
answered with a PING, and no sign of life within `patience` seconds with a new connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from taskwire_core.reconnect import reconnect_pauses
from taskwire_db.feed.address import read_address
from taskwire_db.feed.session import Session

_HANDSHAKE_TIMEOUT_S = 5.0

log = logging.getLogger(__name__)


class Subscription:
    """Calls `on_message(body)` for what is said on `channel` and, whenever it listens anew,
    `on_listening()`.

    Both run on the event loop that `start` was called on.
    """

    def __init__(
        self,
        url: str,
        channel: str,
        *,
        on_message: Callable[[bytes], None],
        on_listening: Callable[[], None],
        quiet: float = 5.0,
        patience: float = 2.0,
    ) -> None:
        self._address = read_address(url)
        self._on_message = on_message
        self._on_listening = on_listening
        self._quiet = quiet
        self._patience = patience
        self._channel = channel
        self._session: Session | None = None
        self._task: asyncio.Task[None] | None = None
        self._away = False

    @property
    def listening(self) -> bool:
        """Whether what is said on the channel arrives now."""
        return self._session is not None

    async def start(self) -> None:
        """Begin to connect, and to reconnect for ever; returns at once."""
        self._task = asyncio.get_running_loop().create_task(self._stay_connected())

    async def close(self) -> None:
        """Disconnect."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

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
        """Subscribe, and say so when the server has."""
        session.send("SUBSCRIBE", self._channel)
        # Answers come in order: the PONG is behind that of the subscription.
        await session.ping(_HANDSHAKE_TIMEOUT_S)
        self._session = session
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

    def _pushed(self, kind: bytes, body: bytes) -> None:
        if kind == b"message":
            self._on_message(body)
