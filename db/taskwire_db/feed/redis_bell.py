"""A worker's ear for cancels, at Redis, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading

from taskwire_db.feed.ports import OnCancel
from taskwire_db.feed.subscription import Subscription
from taskwire_db.feed.wire import Names, decode_cancel


class RedisCancelBell:
    """See `taskwire_db.feed.ports.CancelBell`.

    A cancel that rings while Redis is away is not repeated; the lease renewal brings it too.

    Raises:
        ConfigurationError: the URL cannot be used.
    """

    def __init__(
        self, url: str, deployment_id: bytes, worker_id: bytes, *, on_cancel: OnCancel
    ) -> None:
        self._on_cancel = on_cancel
        self._subscription = Subscription(
            url,
            Names(deployment_id).worker_channel(worker_id),
            on_message=self._rang,
            on_listening=self._listening_now,
        )
        self._listening = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="cancel bell", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wait_until_listening(self, timeout: float) -> bool:
        """Whether cancels arrive, after at most `timeout` seconds."""
        return self._listening.wait(timeout)

    def close(self, timeout: float) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(timeout)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._listen())

    async def _listen(self) -> None:
        await self._subscription.start()
        await self._stop.wait()
        await self._subscription.close()

    def _listening_now(self) -> None:
        self._listening.set()

    def _rang(self, body: bytes) -> None:
        cancel = decode_cancel(body)
        if cancel is not None:
            self._on_cancel(*cancel)
