"""The three sides of the feed: who announces, who watches, who is told to cancel.

All of it is best effort. Whoever relies on a ring also looks into SQL from time to time.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Protocol

from taskwire_core.task import AnyRing, Deleted, ProgressRing, Task

OnRing = Callable[[AnyRing], None]
"""Called on the feed's event loop; it must be quick and must not raise."""

OnBacklog = Callable[[], None]
"""Called on the feed's event loop when tasks were queued that no gateway publishes by itself."""

OnChanges = Callable[[Sequence[ProgressRing]], None]
"""Called on the feed's event loop: the change log has grown, or, where there is any, tasks have
this progress."""

OnCancel = Callable[[bytes, int], None]
"""Called with a task's id and its running attempt, in a thread of the bell's; must not raise."""


class Either:
    """What is in one or the other."""

    def __init__(self, one: Container[bytes], other: Container[bytes]) -> None:
        self._one = one
        self._other = other

    def __contains__(self, task_id: object) -> bool:
        """Whether it is."""
        return task_id in self._one or task_id in self._other


class Announcer(Protocol):
    """Tells the world what was committed. Any thread may call it; nothing blocks or raises."""

    def announce(self, changes: Sequence[Task | Deleted]) -> None:
        """After a commit: keep the snapshots of ended tasks, ring every task's doorbell.

        A CANCELLING task also rings at the worker that runs it, and a QUEUED one at the
        gateways: one of them is to publish it. A deleted one's snapshot
        goes. Whoever listens to all changes hears of it, even when `changes` is empty since all
        the tasks are new.
        """

    def progress(self, rings: Sequence[ProgressRing]) -> None:
        """Ring with the newest progress of running tasks."""

    def close(self, timeout: float) -> None:
        """Send what is still queued, for at most `timeout` seconds, and end."""


class Feed(Protocol):
    """A gateway's ear, on one event loop.

    Made with `on_ring`, `on_backlog`, `on_changes`, and with `on_resync()`, which is called after
    rings may have been missed (the connection was lost and is back, with all subscriptions):
    look into SQL for everything that is watched. `wanted` are tasks whose rings it gets as well,
    without the promise of `subscribe`.
    """

    async def start(self) -> None:
        """Begin to connect, and to reconnect for ever; returns at once."""

    async def close(self) -> None:
        """Disconnect."""

    async def subscribe(self, task_id: bytes) -> None:
        """From now on no ring of the task is missed, or `on_resync` tells that some may have been.

        Counted: each call needs its `unsubscribe`.
        """

    def unsubscribe(self, task_id: bytes) -> None:
        """Undo one `subscribe`."""

    async def listen(self) -> None:
        """The same for all changes and all progress, whatever the task: `on_changes` is called."""

    def unlisten(self) -> None:
        """Undo one `listen`."""

    async def snapshots(self, ids: Sequence[bytes]) -> dict[bytes, Task]:
        """Those of the tasks that have ended and are remembered, in the OUTCOME view.

        Empty when the server is away: SQL knows them all.
        """


class CancelBell(Protocol):
    """A worker's ear for the cancels of its own tasks; made with `on_cancel`."""

    def start(self) -> None:
        """Begin to listen, in a thread of its own."""

    def close(self, timeout: float) -> None:
        """Stop listening."""
