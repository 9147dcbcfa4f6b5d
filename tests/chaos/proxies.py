"""TCP proxies that stand before every dependency, and can be made to behave like a bad network.

All of a run's proxies share one thread. What they do to bytes is what TCP would: nothing is lost
inside a connection, doubled or reordered, but it may come late, slowly, or not until the network
has healed, and a connection may end at any byte.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

Towards = Literal["server", "client"]
BOTH: tuple[Towards, ...] = ("server", "client")

T = TypeVar("T")

_CHUNK = 65_536
_LINGER_NOT = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing such a socket sends RST."""


@dataclass(frozen=True, slots=True)
class Way:
    """How one direction passes bytes on; each chunk waits for `delay_s`, give or take jitter."""

    delay_s: float = 0.0
    jitter_s: float = 0.0
    bytes_per_s: float = float("inf")
    silent: bool = False

    def wait_s(self, count: int, chance: random.Random) -> float:
        """How long `count` bytes take."""
        jitter = chance.uniform(-self.jitter_s, self.jitter_s)
        return max(0.0, self.delay_s + jitter) + count / self.bytes_per_s


class Proxies:
    """The thread that runs proxies; `before` makes another one, `close` ends them all."""

    def __init__(self, seed: int = 0) -> None:
        self.chance = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._made: list[Proxy] = []
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True)
        self._thread.start()

    def before(self, target: int) -> Proxy:
        """A proxy that forwards to the port `target` of 127.0.0.1, open already."""
        made = Proxy(self, target)
        self._made.append(made)
        self.run(made.open())
        return made

    def close(self) -> None:
        """Drop every connection and end the thread."""
        for each in self._made:
            each.close()
        self.run(self._settle())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _settle(self) -> None:
        if others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others, timeout=10)

    def run(self, action: Coroutine[Any, Any, T]) -> T:
        """What `action` returns, once it has been done in the proxies' thread."""
        return asyncio.run_coroutine_threadsafe(action, self._loop).result(20)


class Proxy:
    """Forwards 127.0.0.1:`port` to one port; every method has done its work when it returns."""

    def __init__(self, proxies: Proxies, target: int) -> None:
        self.accepted = 0
        """How many connections were ever accepted."""
        self.target = target
        self._proxies = proxies
        # Bound and never listening: the port stays ours while connections to it are refused.
        self._place = _bound(0)
        self.port: int = self._place.getsockname()[1]
        self._server: asyncio.Server | None = None
        self._ways: dict[Towards, Way] = dict.fromkeys(BOTH, Way())
        self._changed = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        return len(self._writers) // 2

    def slow(
        self, delay_s: float = 0.0, jitter_s: float = 0.0, bytes_per_s: float = float("inf")
    ) -> None:
        """Delay and throttle both ways, of the connections that are there too."""
        self._set(BOTH, Way(delay_s, jitter_s, bytes_per_s))

    def blackhole(self, *towards: Towards) -> None:
        """Pass nothing on towards the named side, or either: connections stay open and silent.

        What was sent arrives when the proxy is healed, if its connection is still there.
        """
        self._set(towards or BOTH, Way(silent=True))

    def refuse(self) -> None:
        """Refuse new connections; those that are there go on."""
        self._proxies.run(self._close_listener())

    def cut(self) -> int:
        """Close every connection now, in both directions; how many there were."""
        return self._proxies.run(self._drop(reset=False))

    def reset(self) -> int:
        """End every connection with RST; how many there were."""
        return self._proxies.run(self._drop(reset=True))

    def heal(self) -> None:
        """Behave like a good network again; what was held back goes on."""
        self._set(BOTH, Way())
        self._proxies.run(self.open())

    def close(self) -> None:
        """Take no connections any more, and drop those that there are."""
        self.refuse()
        self._set(BOTH, Way())
        self.cut()
        self._place.close()

    async def open(self) -> None:
        """Listen, unless it does already."""
        if self._server is None:
            self._server = await asyncio.start_server(self._accepted, sock=_bound(self.port))

    async def _close_listener(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _drop(self, reset: bool) -> int:
        dropped = self.connections
        for writer in list(self._writers):
            _abort(writer, reset=reset)
        self._writers.clear()
        return dropped

    def _set(self, towards: Iterable[Towards], way: Way) -> None:
        async def change() -> None:
            self._ways.update(dict.fromkeys(towards, way))
            self._changed.set()
            self._changed = asyncio.Event()

        self._proxies.run(change())

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            onward = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            _abort(writer, reset=True)
            return
        pair = {writer, onward[1]}
        self._writers |= pair
        try:
            await asyncio.gather(
                self._pass(reader, onward[1], "server"), self._pass(onward[0], writer, "client")
            )
        finally:
            self._writers -= pair
            for each in pair:
                each.close()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, towards: Towards
    ) -> None:
        try:
            while data := await reader.read(_CHUNK):
                await self._travel(len(data), towards)
                writer.write(data)
                await writer.drain()
            await self._travel(0, towards)
            writer.write_eof()
        except OSError:
            # One side was reset: so is the other, as if there were no proxy between them.
            _abort(writer, reset=True)

    async def _travel(self, count: int, towards: Towards) -> None:
        way = self._ways[towards]
        if not way.silent:
            wait_s = way.wait_s(count, self._proxies.chance)
            if wait_s > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), wait_s)
        while self._ways[towards].silent:
            await self._changed.wait()


def _bound(port: int) -> socket.socket:
    """A socket at the port, beside others of ours that do not listen there."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    return made


def _abort(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    if reset:
        found: socket.socket | None = writer.get_extra_info("socket")
        if found is not None:
            with contextlib.suppress(OSError):
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    writer.transport.abort()
