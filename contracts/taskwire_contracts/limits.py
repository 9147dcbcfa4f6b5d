"""What a request may at most be; settable, with the published defaults."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes are bytes of protobuf's wire form."""

    payload_bytes: int = 4 * MIB
    batch_items: int = 1_000
    batch_bytes: int = 16 * MIB
    chain_length: int = 10
    """How many follow-ups may stand one after another."""

    follow_ups: int = 100
    """How many follow-ups a submission may have in all."""

    ahead: timedelta = timedelta(days=366)
    """How far in the future a task may be due."""

    @property
    def message_bytes(self) -> int:
        """The core's own limit: twice ours, because above it gRPC answers
        RESOURCE_EXHAUSTED without details, which clients retry for ever."""
        return 2 * max(self.payload_bytes, self.batch_bytes)
