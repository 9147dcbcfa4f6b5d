"""Announces at Redis: one connection in one thread, so that rings keep their order."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import hiredis
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from taskwire_core.failpoints import ARMED, hit
from taskwire_core.lifecycle import State
from taskwire_core.reconnect import reconnect_pauses
from taskwire_core.task import Deleted, ProgressRing, Ring, Task
from taskwire_db.feed.address import read_address
from taskwire_db.feed.announcement_queue import AnnouncementQueue, Bell, Item
from taskwire_db.feed.wire import (
    Names,
    News,
    encode_cancel,
    encode_news,
    encode_snapshot,
    snapshot_ttl_ms,
    tasks_brought,
    worth_a_snapshot,
)

_BATCH = 1024
_TIMEOUT_S = 1.0
_PIECE = 64 * 1024

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
        if not items:
            return True
        # Snapshots before the news: whoever hears them may read at once.
        commands = [*self._snapshots(items), self._news(items), *self._cancels(items)]
        return self._send_until_done(commands)

    def _snapshots(self, items: Sequence[Item]) -> Iterator[Command]:
        for item in items:
            if isinstance(item, Task):
                if worth_a_snapshot(item):
                    key = self._names.snapshot_key(item.id)
                    yield "SET", key, encode_snapshot(item), "PX", snapshot_ttl_ms(item)
            elif isinstance(item, Deleted):
                yield "DEL", self._names.snapshot_key(item.task_id)

    def _news(self, items: Sequence[Item]) -> Command:
        tasks = [item for item in items if isinstance(item, Task)]
        news = News(
            rings=[
                *(Ring(task.id, task.version, task.state) for task in tasks),
                *(item for item in items if isinstance(item, Deleted)),
            ],
            progress=[item for item in items if isinstance(item, ProgressRing)],
            changed=Bell.CHANGES in items,
            backlog=any(task.state is State.QUEUED for task in tasks),
        )
        return "PUBLISH", self._names.news_channel, encode_news(news, tasks_brought(tasks))

    def _cancels(self, items: Sequence[Item]) -> Iterator[Command]:
        for item in items:
            if isinstance(item, Task) and item.state is State.CANCELLING and item.worker_id:
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
        # What redis-py's pipeline does, at a quarter of its cost: this thread shares its process
        # with handlers.
        pool = self._redis.connection_pool
        connection: Any = pool.get_connection()
        try:
            # hiredis' stub says a tuple of one word; it means of any number.
            packed = map(hiredis.pack_command, commands)  # type: ignore[arg-type]
            connection.send_packed_command(_pieces(packed))
            refused = sum(not _accepted(connection) for _ in commands)
        except BaseException:
            # What was not read would be taken for the answers of the next commands.
            connection.disconnect()
            raise
        finally:
            pool.release(connection)
        if refused:
            log.warning("Redis refused announcements", extra={"count": refused})


def _pieces(packed: Iterable[bytes]) -> Iterator[bytes]:
    """Some commands at a time. All may be 64 MiB: in one piece they would be in memory once more,
    and be sent again and again where they take longer than the time-out of a piece."""
    piece, size = [], 0
    for command in packed:
        piece.append(command)
        size += len(command)
        if size >= _PIECE:
            yield b"".join(piece)
            piece, size = [], 0
    yield b"".join(piece)


def _accepted(connection: Any) -> bool:
    """Whether the next answer is none such as "out of memory", which repeating does not help."""
    try:
        connection.read_response(disable_decoding=True)
    except ResponseError:
        return False
    return True
