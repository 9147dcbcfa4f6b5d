"""Announces at Redis: one connection in one thread, so that rings keep their order."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from taskwire_core.failpoints import ARMED, hit
from taskwire_core.lifecycle import State
from taskwire_core.reconnect import reconnect_pauses
from taskwire_core.task import Deleted, ProgressRing, Task
from taskwire_db.feed.address import read_address
from taskwire_db.feed.announcement_queue import AnnouncementQueue, Bell, Item
from taskwire_db.feed.wire import (
    Names,
    encode_cancel,
    encode_changes,
    encode_deleted,
    encode_progress,
    encode_ring,
    encode_snapshot,
    snapshot_ttl_ms,
    worth_a_snapshot,
)

_BATCH = 256
_TIMEOUT_S = 1.0

log = logging.getLogger(__name__)

Command = tuple[str | bytes | int, ...]


class RedisAnnouncer:
    """See `taskwire_db.feed.ports.Announcer`.

    While Redis is away the newest few thousand announcements wait for it; older ones are lost.

    Raises:
        ConfigurationError: the URL cannot be used.
    """

    def __init__(self, url: str, deployment_id: bytes) -> None:
        read_address(url)  # for its complaint
        self._names = Names(deployment_id)
        self._redis = Redis.from_url(
            url,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            protocol=2,
            # Our own loop waits between tries, and knows when it should end.
            retry=Retry(NoBackoff(), 0),
            single_connection_client=False,
            max_connections=1,
        )
        self._queue = AnnouncementQueue()
        self._thread = threading.Thread(target=self._run, name="announcer", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """How many announcements were lost because Redis was away or slow."""
        return self._queue.dropped

    def announce(self, changes: Sequence[Task | Deleted]) -> None:
        self._queue.put([*changes, Bell.CHANGES])

    def progress(self, rings: Sequence[ProgressRing]) -> None:
        self._queue.put(rings)

    def close(self, timeout: float) -> None:
        self._queue.close()
        self._thread.join(timeout)
        self._redis.close()

    # -- in the thread ------------------------------------------------------------------------

    def _run(self) -> None:
        last = False
        while not last:
            items, last = self._queue.take(_BATCH)
            try:
                if ARMED:
                    hit("feed.taken")
                if not self._announce_all(items):
                    return
                if ARMED:
                    hit("feed.sent")
            except Exception:  # A defect; without this thread nothing more would ever ring.
                log.exception("announcements were lost", extra={"count": len(items)})

    def _announce_all(self, items: Sequence[Item]) -> bool:
        """Whether they were sent; see `_send_until_done`."""
        commands = [command for item in items for command in self._commands(item)]
        commands += self._for_all(items)
        return not commands or self._send_until_done(commands)

    def _for_all(self, items: Sequence[Item]) -> Iterator[Command]:
        """One ring for the whole batch, where a ring for each task would say no more."""
        if any(isinstance(item, Task) and item.state is State.QUEUED for item in items):
            yield "PUBLISH", self._names.backlog_channel, b""
        if Bell.CHANGES in items:
            yield "PUBLISH", self._names.changes_channel, encode_changes()
        progress = [item for item in items if isinstance(item, ProgressRing)]
        if progress:
            yield "PUBLISH", self._names.changes_channel, encode_changes(progress)

    def _commands(self, item: Item) -> Iterator[Command]:
        if isinstance(item, Bell):
            return
        if isinstance(item, ProgressRing):
            yield "PUBLISH", self._names.task_channel(item.task_id), encode_progress(item)
            return
        if isinstance(item, Deleted):
            yield "DEL", self._names.snapshot_key(item.task_id)
            yield "PUBLISH", self._names.task_channel(item.task_id), encode_deleted()
            return
        if worth_a_snapshot(item):
            # Before the ring: whoever hears it may read at once.
            key = self._names.snapshot_key(item.id)
            yield "SET", key, encode_snapshot(item), "PX", snapshot_ttl_ms(item)
        yield "PUBLISH", self._names.task_channel(item.id), encode_ring(item)
        if item.state is State.CANCELLING and item.worker_id is not None:
            yield "PUBLISH", self._names.worker_channel(item.worker_id), encode_cancel(item)

    def _send_until_done(self, commands: list[Command]) -> bool:
        """Whether they were sent; False when the queue was closed while Redis was away."""
        for tries, pause in enumerate(reconnect_pauses()):
            try:
                self._send(commands)
            except (RedisError, OSError) as problem:
                if not tries:
                    log.warning("Redis cannot be told", extra={"problem": type(problem).__name__})
            else:
                return True
            if self._queue.wait_for_close(pause):
                return False
        raise AssertionError("the pauses never end")

    def _send(self, commands: list[Command]) -> None:
        pipeline = self._redis.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)  # type: ignore[no-untyped-call]  # not typed there
        # An answer such as "out of memory" is final for its command and no reason to repeat.
        answers: list[Any] = pipeline.execute(raise_on_error=False)
        refused = sum(isinstance(each, Exception) for each in answers)
        if refused:
            log.warning("Redis refused announcements", extra={"count": refused})
