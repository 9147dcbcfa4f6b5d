"""What a round has measured: one workload against one subject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

QUANTILES = (*(step / 20 for step in range(20)), 0.99, 1.0)
"""Those that a round keeps of its latencies: enough to draw them, and small in JSON."""


@dataclass(frozen=True, slots=True)
class Round:
    """One workload against one subject, as part of a pair; `figures` by their names."""

    pair: int
    subject: str
    workload: str
    figures: dict[str, float]
    latencies_ms: list[float] = field(default_factory=list)
    """At the QUANTILES."""
    cpu_s: dict[str, float] = field(default_factory=dict)
    """Of each process and what is below it; the client is apart."""


@dataclass(frozen=True, slots=True)
class At:
    """One figure of one subject at one workload."""

    subject: str
    workload: str
    figure: str

    def values(self, rounds: Sequence[Round]) -> dict[int, float]:
        """What was measured, by the number of the pair."""
        return {
            found.pair: found.figures[self.figure]
            for found in rounds
            if (found.subject, found.workload) == (self.subject, self.workload)
            and self.figure in found.figures
        }


def quantiles_of(seconds: Sequence[float]) -> list[float]:
    """The QUANTILES of latencies, in milliseconds."""
    ordered = sorted(seconds)
    return [round(1_000 * ordered[int(q * (len(ordered) - 1))], 3) for q in QUANTILES]
