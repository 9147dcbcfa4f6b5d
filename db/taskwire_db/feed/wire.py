"""What is in Redis: the names of keys and channels, and the bytes in them.

`tw:<deployment>:news`       channel: what has moved, who was deleted, what has progress
`tw:<deployment>:w:<worker>` channel: cancel this attempt
`tw:<deployment>:s1:<task>`  key: the snapshot of an ended task; `s1` is the format's version

News go out once per batch, to every gateway, which knows who watches what: 21 bytes and a look
into a table for a task that nobody watches. A channel for each task would cost Redis, the
announcer and every call that waits for its task several times as much. News of few and small
tasks bring the tasks along, up to 16 KiB, so that whoever watches one reads nothing.

Ids are in hex. A snapshot never changes, because an ended task never does: no order of two
writers can put an old state over it. It goes with its task; one that a slow writer leaves behind
later is seen by nobody, because every read that is not of a watch in progress begins with SQL.
"""

from __future__ import annotations

import struct
from collections.abc import Container, Sequence
from datetime import timedelta
from itertools import chain, repeat

import msgspec
from msgspec.structs import replace

from taskwire_core.lifecycle import State
from taskwire_core.task import Deleted, ProgressRing, Ring, Task

MAX_SNAPSHOT_RESULT_BYTES = 256 * 1024
"""The result of a larger one stays in SQL alone; Redis is for what is read often."""

LONGEST_SNAPSHOT = timedelta(hours=1)

MOST_BROUGHT = 16
"""News of more tasks bring none along: then a gateway reads what it wants in groups."""
MAX_BROUGHT_BYTES = 1024
"""A larger task is read by those who watch it."""


class Names:
    """The names of one deployment."""

    def __init__(self, deployment_id: bytes) -> None:
        prefix = f"tw:{deployment_id.hex()}"
        self._worker = f"{prefix}:w:"
        self._snapshot = f"{prefix}:s1:"
        self.news_channel = f"{prefix}:news"
        """Where every gateway hears of everything."""

    def worker_channel(self, worker_id: bytes) -> str:
        """Where a worker is told to cancel."""
        return self._worker + worker_id.hex()

    def snapshot_key(self, task_id: bytes) -> str:
        """Where an ended task's snapshot is."""
        return self._snapshot + task_id.hex()


class _NewsBody(msgspec.Struct, array_like=True, frozen=True):
    rings: bytes
    deleted: bytes
    progress: tuple[ProgressRing, ...]
    changed: bool
    backlog: bool
    tasks: tuple[bytes, ...] = ()
    """One for each ring, and empty where the task does not come along; or none at all."""


class _CancelBody(msgspec.Struct, array_like=True, frozen=True):
    task_id: bytes
    attempt: int


_RING = struct.Struct(">16sIB")
"""A task's id, its version and its state."""
_ID = struct.Struct(">16s")
_STATES = {int(state): state for state in State}

_encoder = msgspec.msgpack.Encoder()
_news = msgspec.msgpack.Decoder(_NewsBody)
_cancels = msgspec.msgpack.Decoder(_CancelBody)
_snapshots = msgspec.msgpack.Decoder(Task)
# msgspec says the second of text that is none.
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError)


class News(msgspec.Struct, frozen=True):
    """What one message tells: `changed` when the change log has grown, `backlog` when tasks were
    queued that no gateway publishes by itself."""

    rings: Sequence[Ring | Deleted] = ()
    progress: Sequence[ProgressRing] = ()
    changed: bool = False
    backlog: bool = False


def encode_news(news: News, tasks: Sequence[bytes] = ()) -> bytes:
    """The body of the message. `tasks` are what the rings bring along; see `tasks_brought`."""
    rings = [each for each in news.rings if isinstance(each, Ring)]
    body = _NewsBody(
        b"".join([_RING.pack(each.task_id, each.version, each.state) for each in rings]),
        b"".join([each.task_id for each in news.rings if isinstance(each, Deleted)]),
        tuple(news.progress),
        news.changed,
        news.backlog,
        tuple(tasks),
    )
    return _encoder.encode(body)


def decode_news(body: bytes, wanted: Container[bytes]) -> News | None:
    """What the message tells, without the rings of tasks that are not `wanted`.

    None when it was written by a version that we do not know. A deleted task's last ring comes
    after its others.
    """
    try:
        found = _news.decode(body)
        brought = chain(found.tasks, repeat(b""))
        rings: list[Ring | Deleted] = [
            Ring(task_id, version, _STATES[state], _brought(task, task_id, version))
            for (task_id, version, state), task in zip(
                _RING.iter_unpack(found.rings), brought, strict=False
            )
            if task_id in wanted
        ]
        deleted = [task_id for (task_id,) in _ID.iter_unpack(found.deleted) if task_id in wanted]
    except (*_UNREADABLE, struct.error, KeyError):
        return None
    return News([*rings, *map(Deleted, deleted)], found.progress, found.changed, found.backlog)


def _brought(body: bytes, task_id: bytes, version: int) -> Task | None:
    task = decode_snapshot(body) if body else None
    return task if task and (task.id, task.version) == (task_id, version) else None


def encode_cancel(task: Task) -> bytes:
    """The body that tells a worker to cancel the task's running attempt."""
    return _encoder.encode(_CancelBody(task.id, task.attempt))


def decode_cancel(body: bytes) -> tuple[bytes, int] | None:
    """The task's id and attempt; None when it was written by a version that we do not know."""
    try:
        found = _cancels.decode(body)
    except msgspec.MsgspecError:
        return None
    return found.task_id, found.attempt


def tasks_brought(tasks: Sequence[Task]) -> list[bytes]:
    """What news of `tasks` bring along of them: of each its bytes, or none."""
    if len(tasks) > MOST_BROUGHT:
        return []
    return [_if_small(task) for task in tasks]


def _if_small(task: Task) -> bytes:
    if not comes_along(task) or result_bytes(task) > MAX_BROUGHT_BYTES:
        return b""
    body = encode_snapshot(task)
    return body if len(body) <= MAX_BROUGHT_BYTES else b""


def comes_along(task: Task) -> bool:
    """Whether news may bring the task along: it has begun just now, or it has ended. Of others
    there is more to know than their transition tells."""
    return task.state is State.RUNNING or worth_a_snapshot(task)


def worth_a_snapshot(task: Task) -> bool:
    """Whether the task has ended and is small enough to be remembered."""
    return task.state.terminal and result_bytes(task) <= MAX_SNAPSHOT_RESULT_BYTES


def result_bytes(task: Task) -> int:
    """The size of what a snapshot of the task would mostly consist of."""
    return len(task.result.data) if task.result else 0


def outcome(task: Task) -> Task:
    """The task in the OUTCOME view: no input, no attempts, no stack trace."""
    failure = task.failure and replace(task.failure, stack_trace="")
    return replace(task, input=None, attempts=(), failure=failure)


def encode_snapshot(task: Task) -> bytes:
    """The task's bytes: the snapshot of one that has ended, or what news bring along."""
    return _encoder.encode(outcome(task))


def decode_snapshot(body: bytes) -> Task | None:
    """The task; None when it was written by a version that we do not know."""
    try:
        return _snapshots.decode(body)
    except _UNREADABLE:
        return None


def snapshot_ttl_ms(task: Task) -> int:
    """How long the snapshot is kept: no longer than the result itself."""
    kept = min(task.options.result_ttl, LONGEST_SNAPSHOT)
    return max(1, kept // timedelta(milliseconds=1))
