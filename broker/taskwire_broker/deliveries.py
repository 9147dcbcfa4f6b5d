"""The port between the claiming consumer and a broker: where deliveries come from."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Delivery(NamedTuple):
    """One message as it came: its tag, growing within one `open`, and its body."""

    tag: int
    body: bytes


class SourceLost(Exception):
    """The connection is gone; whatever was not accepted will be delivered again."""


class DeliverySource(Protocol):
    """One queue's deliveries. Used by one thread at a time, except for `wake`.

    Every method but `close` and `wake` may raise SourceLost.
    """

    def open(self, prefetch: int) -> None:
        """Connect if need be and begin to receive, at most `prefetch` unaccepted at a time."""

    def receive(self, timeout: float) -> list[Delivery]:
        """Wait up to `timeout` seconds for deliveries; all at hand, empty when there are none.

        It also keeps the connection alive, and may be called while nothing is open.
        """

    def accept_through(self, tag: int) -> None:
        """Acknowledge `tag` and everything before it."""

    def reject(self, tag: int) -> None:
        """Send one message to the dead-letter queue."""

    def release(self) -> None:
        """Stop receiving; what was neither accepted nor rejected goes back to the queue."""

    def close(self) -> None:
        """`release` and disconnect; never raises."""

    def wake(self) -> None:
        """Make a `receive` of another thread return now; never raises."""
