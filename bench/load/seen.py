"""What a client has seen, whichever it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Seen:
    """The clock's time when the first request left and the last answer came; seconds of each."""

    first: float
    answered: float
    seconds: list[float]


def together(several: Sequence[Seen]) -> Seen:
    """What clients side by side have seen."""
    return Seen(
        min(seen.first for seen in several),
        max(seen.answered for seen in several),
        [took for seen in several for took in seen.seconds],
    )
