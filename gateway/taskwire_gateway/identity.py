"""Who calls: the one place that authentication will replace."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

log = logging.getLogger(__name__)


class Identity(Protocol):
    """Tells who makes a call."""

    def user_of(self, metadata: Sequence[tuple[str, str | bytes]]) -> str:
        """The id of the user whose tasks the call may see and make; raises RequestError."""


@dataclass(frozen=True, slots=True)
class Everybody:
    """Nobody is authenticated: every call is the user `id`, named `username`."""

    id: str
    username: str

    def user_of(self, metadata: Sequence[tuple[str, str | bytes]]) -> str:
        """See `Identity`."""
        return self.id

    def warn(self) -> None:
        """Say in the log what this means."""
        log.warning(
            "nobody is authenticated: whoever can connect acts as this user",
            extra={"user": self.username},
        )
