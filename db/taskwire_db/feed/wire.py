"""What is in Redis: the names of keys and channels, and the bytes in them.

`tw:<deployment>:t:<task>`   channel: this task has moved, or has progress
`tw:<deployment>:changes`    channel: the change log has grown, or tasks have progress
`tw:<deployment>:w:<worker>` channel: cancel this attempt
`tw:<deployment>:backlog`    channel: tasks were queued that no gateway publishes by itself
`tw:<deployment>:s1:<task>`  key: the snapshot of an ended task; `s1` is the format's version

Ids are in hex. A snapshot never changes, because an ended task never does: no order of two
writers can put an old state over it. It goes with its task; one that a slow writer leaves behind
later is seen by nobody, because every read that is not of a watch in progress begins with SQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec
from msgspec.structs import replace

from taskwire_core.lifecycle import State
from taskwire_core.task import AnyRing, Deleted, Progress, ProgressRing, Ring, Task

MAX_SNAPSHOT_RESULT_BYTES = 256 * 1024
"""The result of a larger one stays in SQL alone; Redis is for what is read often."""

LONGEST_SNAPSHOT = timedelta(hours=1)


class Names:
    """The names of one deployment."""

    def __init__(self, deployment_id: bytes) -> None:
        prefix = f"tw:{deployment_id.hex()}"
        self._task = f"{prefix}:t:"
        self._worker = f"{prefix}:w:"
        self._snapshot = f"{prefix}:s1:"
        self.changes_channel = f"{prefix}:changes"
        """Where it rings for every change of any task."""
        self.backlog_channel = f"{prefix}:backlog"
        """Where the gateways hear of tasks that one of them is to publish."""

    def task_channel(self, task_id: bytes) -> str:
        """Where a task's doorbell rings."""
        return self._task + task_id.hex()

    def task_of(self, channel: str) -> bytes:
        """The task whose doorbell rings at `channel`."""
        return bytes.fromhex(channel[len(self._task) :])

    def worker_channel(self, worker_id: bytes) -> str:
        """Where a worker is told to cancel."""
        return self._worker + worker_id.hex()

    def snapshot_key(self, task_id: bytes) -> str:
        """Where an ended task's snapshot is."""
        return self._snapshot + task_id.hex()


class _RingBody(msgspec.Struct, array_like=True, tag=1, frozen=True):
    version: int
    state: State


class _ProgressBody(msgspec.Struct, array_like=True, tag=2, frozen=True):
    attempt: int
    progress: Progress


class _DeletedBody(msgspec.Struct, array_like=True, tag=3, frozen=True):
    pass


class _TasksProgressBody(msgspec.Struct, array_like=True, frozen=True):
    rings: tuple[ProgressRing, ...]


class _CancelBody(msgspec.Struct, array_like=True, frozen=True):
    task_id: bytes
    attempt: int


_encoder = msgspec.msgpack.Encoder()
_rings = msgspec.msgpack.Decoder(_RingBody | _ProgressBody | _DeletedBody)
_changes = msgspec.msgpack.Decoder(_TasksProgressBody)
_cancels = msgspec.msgpack.Decoder(_CancelBody)
_snapshots = msgspec.msgpack.Decoder(Task)


def encode_ring(task: Task) -> bytes:
    """The body of the task's ring."""
    return _encoder.encode(_RingBody(task.version, task.state))


def encode_progress(ring: ProgressRing) -> bytes:
    """The body of a ring that carries progress."""
    return _encoder.encode(_ProgressBody(ring.attempt, ring.progress))


def encode_deleted() -> bytes:
    """The body of a deleted task's last ring."""
    return _encoder.encode(_DeletedBody())


def decode_ring(task_id: bytes, body: bytes) -> AnyRing | None:
    """The ring of task `task_id`; None when it was written by a version that we do not know."""
    try:
        found = _rings.decode(body)
    except msgspec.MsgspecError:
        return None
    if isinstance(found, _RingBody):
        return Ring(task_id, found.version, found.state)
    if isinstance(found, _DeletedBody):
        return Deleted(task_id)
    return ProgressRing(task_id, found.attempt, found.progress)


def encode_changes(progress: Sequence[ProgressRing] = ()) -> bytes:
    """The body of a ring for all: the change log has grown, or tasks have this progress."""
    return _encoder.encode(_TasksProgressBody(tuple(progress)))


def decode_changes(body: bytes) -> Sequence[ProgressRing]:
    """The progress in it; none when it was written by a version that we do not know."""
    try:
        return _changes.decode(body).rings
    except msgspec.MsgspecError:
        return ()


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
    """The snapshot of an ended task."""
    return _encoder.encode(outcome(task))


def decode_snapshot(body: bytes) -> Task | None:
    """The task; None when it was written by a version that we do not know."""
    try:
        return _snapshots.decode(body)
    except msgspec.MsgspecError:
        return None


def snapshot_ttl_ms(task: Task) -> int:
    """How long the snapshot is kept: no longer than the result itself."""
    kept = min(task.options.result_ttl, LONGEST_SNAPSHOT)
    return max(1, kept // timedelta(milliseconds=1))
