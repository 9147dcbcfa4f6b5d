"""What the broker room needs from others, and what it offers to both services."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from taskwire_core.task import Dispatch

Answered = Callable[[list[Dispatch]], None]
"""Called on the publisher's event loop with dispatches that have now been answered."""


class Publisher(Protocol):
    """Sends dispatches to the broker, on one event loop; every one is answered exactly once.

    Implementations are made with three callbacks: `on_confirmed(dispatches)` when the broker
    has them safe, `on_refused(dispatches)` when it has not or nobody knows (publish them
    again, a duplicate is harmless), `on_connected()` whenever publishing becomes possible.
    All three run on the loop, never inside a call of `publish`.
    """

    async def start(self) -> None:
        """Begin to connect, and to reconnect for ever; returns at once."""

    async def close(self, timeout: float) -> None:
        """Wait up to `timeout` seconds for open confirms, refuse the rest, disconnect."""

    def publish(self, dispatches: Sequence[Dispatch]) -> None:
        """Send them in this order. Never blocks and never raises; answers by callback.

        While the broker is away or refuses messages they are refused soon after the call.
        """

    @property
    def connected(self) -> bool:
        """Whether messages that are published now go to the broker."""

    @property
    def unanswered(self) -> int:
        """How many dispatches still wait for their answer."""


class Intake(Protocol):
    """The worker's side of a delivery: decides what is taken, and records that it is.

    Called in the consumers' threads, `free` and `claim` by one consumer at a time. `queue` is
    taskwire's name of the queue, not the broker's.
    """

    def free(self, queue: str) -> int:
        """How many more deliveries may be claimed now: free slots and look-ahead, all queues."""

    def claim(self, dispatches: list[Dispatch]) -> list[Dispatch]:
        """Commit the claim; what comes back is ours to run now and has a declared actor.

        Raises:
            StoreUnavailable: nothing is known to be claimed; the messages stay unacknowledged.
        """

    def refused(self, queue: str, body: bytes, problem: str) -> None:
        """Record a message that is none of ours; it goes to the dead-letter queue.

        Must not raise.
        """

    def wait_for_slot(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds until `free` may be more than 0; whether it is."""
