"""The targets beside what was measured: ratios pair by pair, and which rows are met."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bench.rounds import Round
from bench.targets import TARGETS, Figure, Target


@dataclass(frozen=True, slots=True)
class Measured:
    """One figure with its ratio of every pair."""

    figure: Figure
    ratios: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.ratios)

    @property
    def met(self) -> bool:
        """Whether it reaches what it must, if there is such a thing."""
        return self._reaches(self.figure.must)

    @property
    def aimed(self) -> bool:
        """Whether it reaches what it should."""
        return self._reaches(self.figure.aim)

    def _reaches(self, bound: float | None) -> bool:
        if bound is None:
            return True
        return self.median >= bound if self.figure.at_least else self.median <= bound


@dataclass(frozen=True, slots=True)
class Verdict:
    """One row with all that it has measured."""

    target: Target
    figures: tuple[Measured, ...]

    @property
    def met(self) -> bool:
        return all(figure.met for figure in self.figures)


def judge(rounds: Sequence[Round], targets: Sequence[Target] = TARGETS) -> list[Verdict]:
    """A verdict on each row of which every figure was measured; the others have none."""
    verdicts = []
    for target in targets:
        figures = tuple(Measured(each, _ratios(each, rounds)) for each in target.figures)
        if all(figure.ratios for figure in figures):
            verdicts.append(Verdict(target, figures))
    return verdicts


def targets_met(verdicts: Sequence[Verdict]) -> str:
    """The last line of a run."""
    counted = [verdict for verdict in verdicts if verdict.target.counts]
    return f"targets met: {sum(verdict.met for verdict in counted)} of {len(counted)}"


def _ratios(figure: Figure, rounds: Sequence[Round]) -> tuple[float, ...]:
    ours = figure.of.values(rounds)
    if figure.to is None:
        return tuple(ours.values())
    theirs = figure.to.values(rounds)
    return tuple(ours[pair] / theirs[pair] for pair in sorted(ours.keys() & theirs.keys()))
