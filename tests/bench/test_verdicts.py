"""What is measured is compared pair by pair, and a run says how many of its rows are met."""

from __future__ import annotations

import pytest

from bench.report import targets_table
from bench.rounds import At, Round
from bench.targets import TARGETS, Figure, Target
from bench.verdicts import judge, targets_met

OURS, THEIRS = At("ours", "work", "per_s"), At("theirs", "work", "per_s")


def rounds(at: At, *values: float) -> list[Round]:
    """A round for each pair."""
    return [
        Round(pair, at.subject, at.workload, {at.figure: value})
        for pair, value in enumerate(values, 1)
    ]


def row(*figures: Figure) -> Target:
    return Target("a row", figures)


def test_a_ratio_is_taken_within_its_pair() -> None:
    target = row(Figure("rate", OURS, THEIRS, must=3))
    # Both became ten times slower from pair to pair.
    (verdict,) = judge(
        rounds(OURS, 400, 30, 5) + rounds(THEIRS, 100, 10, 1)[::-1], targets=[target]
    )
    assert verdict.figures[0].ratios == (4, 3, 5)
    assert verdict.figures[0].median == 4


def test_a_pair_that_lacks_one_side_is_no_pair() -> None:
    (verdict,) = judge(
        rounds(OURS, 400, 30) + rounds(THEIRS, 100), targets=[row(Figure("", OURS, THEIRS))]
    )
    assert verdict.figures[0].ratios == (4,)


@pytest.mark.parametrize(
    ("at_least", "must", "met"),
    [(True, 4, True), (True, 4.1, False), (False, 4, True), (False, 3.9, False)],
)
def test_the_median_decides_whether_a_row_is_met(at_least: bool, must: float, met: bool) -> None:
    target = row(Figure("rate", OURS, None, must, at_least=at_least))
    (verdict,) = judge(rounds(OURS, 1, 4, 100), targets=[target])
    assert verdict.met is met


def test_a_row_is_met_only_when_each_of_its_figures_is() -> None:
    good, bad = Figure("good", OURS, None, 3), Figure("bad", THEIRS, None, 3)
    measured = rounds(OURS, 4) + rounds(THEIRS, 2)
    verdicts = judge(measured, targets=[row(good), row(good, bad), row(bad)])
    assert [verdict.met for verdict in verdicts] == [True, False, False]
    assert targets_met(verdicts) == "targets met: 1 of 3"


def test_a_row_of_which_a_figure_was_not_measured_does_not_count() -> None:
    targets = [
        row(Figure("", OURS, None, 3)),
        row(Figure("", OURS, None, 3), Figure("", THEIRS, None, 3)),
    ]
    assert targets_met(judge(rounds(OURS, 4), targets=targets)) == "targets met: 1 of 1"


def test_a_row_that_must_reach_nothing_is_shown_and_does_not_count() -> None:
    verdicts = judge(rounds(OURS, 4), targets=[row(Figure("rate", OURS, None))])
    assert targets_met(verdicts) == "targets met: 0 of 0"
    assert "| a row | rate | 4 [4, 4] |  |  | measured |" in targets_table(verdicts)


def test_the_table_shows_ratio_must_aim_and_what_became_of_them() -> None:
    missed = Figure("rate", OURS, THEIRS, 14, 20)
    met = Figure("time", OURS, THEIRS, 5, 2, at_least=False)
    table = targets_table(
        judge(
            rounds(OURS, 40, 30, 50) + rounds(THEIRS, 10, 10, 10), targets=[row(missed), row(met)]
        )
    )
    assert table.splitlines()[2:] == [
        "| a row | rate | 4 [3, 5] | 14 | 20 | missed |",
        "| a row | time | 4 [3, 5] | ≤ 5 | ≤ 2 | met |",
    ]


def test_every_row_has_a_name_of_its_own_and_aims_no_lower_than_it_must() -> None:
    assert len({target.name for target in TARGETS}) == len(TARGETS)
    for target in TARGETS:
        for figure in target.figures:
            if figure.must is not None and figure.aim is not None:
                further = figure.aim - figure.must
                assert further >= 0 if figure.at_least else further <= 0, figure
