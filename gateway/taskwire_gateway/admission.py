"""Admission control: who calls, how many calls of each kind are served at once, and when none is.

grpc's own `maximum_concurrent_rpcs` counts streams together with short calls; here each
kind has its own limit, so that watchers cannot shut out submissions. The bytes of all requests
in progress have one limit, because a few hundred large ones would take all the memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum

from taskwire_core.errors import Refused, RequestError, Unavailable
from taskwire_gateway.identity import Identity


class Kind(StrEnum):
    """What a call costs: CPU for a moment (UNARY), or memory for long (WATCH, DURABLE)."""

    UNARY = "unary"
    WATCH = "watch"
    DURABLE = "durable"
    SUBMISSIONS = "submissions"
    """A stream of them: as much CPU as many UNARY calls, for long."""
    TOOLS = "tools"
    """Health's `Watch` and reflection: memory for long, and every submission may begin there."""


REQUEST_BYTES = 256 * 1024 * 1024
"""Of requests in progress together, as they came: parsed they are several times as large."""

LIMITS = {
    Kind.UNARY: 2_000,
    Kind.WATCH: 10_000,
    Kind.DURABLE: 10_000,
    Kind.SUBMISSIONS: 1_000,
    Kind.TOOLS: 10_000,
}


class Admission:
    """Counts the calls in progress. Used on the event loop only."""

    def __init__(
        self,
        identity: Identity,
        limits: dict[Kind, int] | None = None,
        *,
        request_bytes: int = REQUEST_BYTES,
    ) -> None:
        self.identity = identity
        self._limits = {**LIMITS, **(limits or {})}
        self._open = dict.fromkeys(Kind, 0)
        self._most_bytes = request_bytes
        self._bytes = 0
        self._draining = False
        self._gates = {kind: Gate(self, kind) for kind in Kind}
        self.refusals: Counter[str] = Counter()
        """How many calls, and messages of streams, were not admitted, by reason."""

    def gate(self, kind: Kind) -> Gate:
        """A context manager around one call of `kind`."""
        return self._gates[kind]

    def open(self, kind: Kind) -> int:
        """How many calls of `kind` are in progress."""
        return self._open[kind]

    def limit(self, kind: Kind) -> int:
        """How many calls of `kind` may be."""
        return self._limits[kind]

    def drain(self) -> None:
        """Refuse every new call from now on."""
        self._draining = True

    def enter(self, kind: Kind, size: int) -> None:
        """Count one more call, whose request has `size` bytes.

        Raises:
            RequestError: the server drains, or the limit of this kind or of bytes is reached.
        """
        if self._draining:
            raise self._counted(draining())
        if self._open[kind] >= self._limits[kind]:
            raise self._counted(_refusal(kind, self._limits[kind]))
        self.hold(size)
        self._open[kind] += 1

    def leave(self, kind: Kind, size: int) -> None:
        """Count one call less, that had `size` bytes."""
        self._open[kind] -= 1
        self.release(size)

    def hold(self, size: int) -> None:
        """Count `size` bytes of a request more.

        Raises:
            RequestError: there are too many.
        """
        if self._bytes and self._bytes + size > self._most_bytes:
            raise self._counted(_overloaded(self._most_bytes))
        self._bytes += size

    def release(self, size: int) -> None:
        """Count `size` bytes less."""
        self._bytes -= size

    def _counted(self, refusal: RequestError) -> RequestError:
        self.refusals[refusal.reason] += 1
        return refusal


class Gate:
    """The way in for calls of one kind; it has no state of its own and is shared by all."""

    def __init__(self, admission: Admission, kind: Kind) -> None:
        self.identity = admission.identity
        self._admission = admission
        self._kind = kind

    @contextmanager
    def admit(self, request: bytes) -> Iterator[None]:
        """Counts the call, and its request's bytes, as long as the block lasts.

        Raises:
            RequestError: it is not admitted.
        """
        size = len(request)
        self._admission.enter(self._kind, size)
        try:
            yield
        finally:
            self._admission.leave(self._kind, size)

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Counts `size` bytes of one message of a stream that was admitted.

        Raises:
            RequestError: there are too many.
        """
        self._admission.hold(size)
        try:
            yield
        finally:
            self._admission.release(size)


def draining() -> RequestError:
    """What a call is told that arrives at, or is cut by, a server that goes away."""
    return Unavailable(
        "SERVER_DRAINING",
        "This server is going away; call again and another one, or its successor, will answer.",
        retry_after=timedelta(milliseconds=500),
    )


def _refusal(kind: Kind, limit: int) -> RequestError:
    if kind is Kind.WATCH:
        return Refused(
            "TOO_MANY_WATCHES",
            "This server serves as many watches as it may; try again later.",
            metadata={"limit": str(limit)},
            retry_after=timedelta(seconds=5),
        )
    return _overloaded(limit)


def _overloaded(limit: int) -> RequestError:
    return Unavailable(
        "OVERLOADED",
        "This server is busy; try again in a moment.",
        metadata={"limit": str(limit)},
        retry_after=timedelta(seconds=1),
    )
