"""Streams that end too early: whether another try helps, and how long to wait for it."""

from __future__ import annotations

import random

import grpc

from taskwire.client.errors import TASKWIRE_DOMAIN, CallFailed, call_failed

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 10.0

# What proxies and connections answer on their own; without a word from taskwire it means "the
# stream broke", not "no".
_BROKEN = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)


class Broken:
    """Why a stream is over before the watch is."""

    def __init__(self, text: str, cause: CallFailed | None = None) -> None:
        self.text = text
        self.cause = cause

    @property
    def passing(self) -> bool:
        """Whether the same call may succeed later."""
        if self.cause is None:
            return True
        if self.cause.code is grpc.StatusCode.UNAVAILABLE or self.cause.retry_after is not None:
            return True
        return self.cause.domain != TASKWIRE_DOMAIN and self.cause.code in _BROKEN

    @property
    def retry_after_s(self) -> float:
        """The pause that the server asks for."""
        asked = self.cause.retry_after if self.cause else None
        return asked.total_seconds() if asked else 0.0


def broken_by(error: grpc.RpcError) -> Broken:
    """What an error says about the stream that it ended."""
    cause = call_failed(error)
    return Broken(cause.message, cause)


def backoff_s(failures: int, at_least_s: float = 0.0) -> float:
    """The pause before the next try: doubled each time, half of it random.

    `at_least_s` is what the server asked for. The jitter only adds to that, so that clients
    which were told the same do not come back together.
    """
    longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(failures, 16))
    pause = random.uniform(longest / 2, longest)  # noqa: S311  # spreads load, guards no secret
    return at_least_s + pause
