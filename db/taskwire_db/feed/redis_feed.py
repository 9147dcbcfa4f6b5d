"""A gateway's ear at Redis: doorbells through a subscription, snapshots through a client."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Container, Sequence
from typing import cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from taskwire_core.task import Task
from taskwire_db.feed.ports import Either, OnBacklog, OnChanges, OnRing
from taskwire_db.feed.subscription import Subscription
from taskwire_db.feed.wire import Names, decode_news, decode_snapshot

_READ_TIMEOUT_S = 0.5
_READ_CONNECTIONS = 4
_KEYS_PER_READ = 200
# After a failed read nobody tries for so long: a server that is away costs one caller, once.
_AWAY_S = 1.0

log = logging.getLogger(__name__)


class RedisFeed:
    """See `taskwire_db.feed.ports.Feed`.

    Raises:
        ConfigurationError: the URL cannot be used.
    """

    def __init__(
        self,
        url: str,
        deployment_id: bytes,
        *,
        on_ring: OnRing,
        on_resync: Callable[[], None],
        on_backlog: OnBacklog = lambda: None,
        on_changes: OnChanges = lambda progress: None,
        wanted: Container[bytes] = (),
        quiet: float = 5.0,
        patience: float = 2.0,
    ) -> None:
        self._names = Names(deployment_id)
        self._on_ring = on_ring
        self._on_backlog = on_backlog
        self._on_changes = on_changes
        self._subscribed: Counter[bytes] = Counter()
        self._wanted = Either(self._subscribed, wanted)
        self._listeners = 0
        self._subscription = Subscription(
            url,
            self._names.news_channel,
            on_message=self._rang,
            on_listening=on_resync,
            quiet=quiet,
            patience=patience,
        )
        self._url = url
        self._reads: Redis | None = None
        self._away_until = 0.0

    @property
    def listening(self) -> bool:
        """Whether rings arrive now."""
        return self._subscription.listening

    async def start(self) -> None:
        pool = BlockingConnectionPool.from_url(
            self._url,
            max_connections=_READ_CONNECTIONS,
            timeout=_READ_TIMEOUT_S,
            socket_timeout=_READ_TIMEOUT_S,
            socket_connect_timeout=_READ_TIMEOUT_S,
            protocol=2,
            # A second try would double the wait; the caller has SQL instead.
            retry=Retry(NoBackoff(), 0),
        )
        self._reads = Redis.from_pool(pool)
        await self._subscription.start()

    async def close(self) -> None:
        await self._subscription.close()
        if self._reads is not None:
            await self._reads.aclose()

    async def subscribe(self, task_id: bytes) -> None:
        self._subscribed[task_id] += 1

    def unsubscribe(self, task_id: bytes) -> None:
        self._subscribed[task_id] -= 1
        if self._subscribed[task_id] <= 0:
            del self._subscribed[task_id]

    async def listen(self) -> None:
        self._listeners += 1

    def unlisten(self) -> None:
        self._listeners -= 1

    async def snapshots(self, ids: Sequence[bytes]) -> dict[bytes, Task]:
        found: dict[bytes, Task] = {}
        for start in range(0, len(ids), _KEYS_PER_READ):
            some = ids[start : start + _KEYS_PER_READ]
            for task_id, body in zip(some, await self._read(some), strict=False):
                if body is not None and (task := decode_snapshot(body)) is not None:
                    found[task_id] = task
        return found

    async def _read(self, ids: Sequence[bytes]) -> list[bytes | None]:
        if self._reads is None or time.monotonic() < self._away_until:
            return []
        try:
            values = await self._reads.mget([self._names.snapshot_key(each) for each in ids])
        except (RedisError, OSError) as problem:
            self._away_until = time.monotonic() + _AWAY_S
            log.warning("Redis cannot be read", extra={"problem": type(problem).__name__})
            return []
        # The client does not decode, so nothing here is a str.
        return cast(list[bytes | None], values)

    def _rang(self, body: bytes) -> None:
        news = decode_news(body, self._wanted)
        if news is None:
            return
        for ring in news.rings:
            self._on_ring(ring)
        for progress in news.progress:
            if progress.task_id in self._subscribed:
                self._on_ring(progress)
        if news.backlog:
            self._on_backlog()
        if self._listeners and news.changed:
            self._on_changes(())
        if self._listeners and news.progress:
            self._on_changes(news.progress)
