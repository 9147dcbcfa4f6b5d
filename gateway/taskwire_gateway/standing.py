"""Whether this process lives, and whether calls should come to it: asked by the admin port.

Its threads ask, and the event loop answers: a loop that is stuck answers nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import TimeoutError as NoAnswer

from taskwire_admin.health import Standing
from taskwire_core.errors import StoreUnavailable

PATIENCE_S = 2.0


class LoopStanding:
    """The standing of a service that runs on an event loop and stands on the store.

    `ask_store` fails with StoreUnavailable when the store is away. `parts` say how the rest is;
    they decide nothing, since tasks are accepted without RabbitMQ and Redis.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        serving: Callable[[], bool],
        ask_store: Callable[[], Awaitable[object]],
        parts: Callable[[], Mapping[str, bool]],
    ) -> None:
        self._loop = loop
        self._serving = serving
        self._ask_store = ask_store
        self._parts = parts

    def healthy(self) -> Standing:
        """Whether the event loop answers."""
        answers = self._on_loop(asyncio.sleep(0, True)) is not None
        return Standing(answers, {"loop": "ok" if answers else "stuck"})

    def ready(self) -> Standing:
        """Whether the store answers, and the service has begun and does not drain."""
        serving = self._serving()
        store = bool(self._on_loop(self._store_answers()))
        return Standing(
            serving and store,
            {
                "service": "serving" if serving else "draining",
                "store": "ok" if store else "away",
                **{name: "ok" if there else "away" for name, there in self._parts().items()},
            },
        )

    async def _store_answers(self) -> bool:
        try:
            await asyncio.wait_for(self._ask_store(), PATIENCE_S / 2)
        except (StoreUnavailable, TimeoutError):
            return False
        return True

    def _on_loop(self, coroutine: Coroutine[object, object, bool]) -> bool | None:
        try:
            asked = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError:  # the loop has been closed
            coroutine.close()
            return None
        try:
            return asked.result(PATIENCE_S)
        except NoAnswer:
            asked.cancel()
            return None
