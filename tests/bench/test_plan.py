"""Everything that the targets need is measured, in the full run and where the quick one says so."""

from __future__ import annotations

import pytest

from bench.__main__ import fits
from bench.plan import FULL, QUICK, Visit
from bench.rounds import At
from bench.targets import TARGETS
from bench.workloads import WORKLOADS


def planned(visits: tuple[Visit, ...]) -> set[tuple[str, str]]:
    return {(visit.name, workload) for visit in visits for workload in visit.workloads}


def needed(at: At) -> tuple[str, str]:
    return at.subject, at.workload


def test_the_full_run_measures_every_figure_of_every_target() -> None:
    figures = [figure for target in TARGETS for figure in target.figures]
    wanted = {needed(at) for figure in figures for at in (figure.of, figure.to) if at is not None}
    assert wanted - planned(FULL) == set()


def test_what_the_quick_run_measures_the_full_run_measures_too() -> None:
    assert planned(QUICK) < planned(FULL)


@pytest.mark.parametrize("visit", FULL, ids=lambda visit: visit.name)
def test_a_visit_asks_only_for_workloads_that_there_are(visit: Visit) -> None:
    assert set(visit.workloads) <= WORKLOADS.keys()


def test_a_round_has_whole_calls_and_one_for_every_client_at_least() -> None:
    assert WORKLOADS["batch"].size("taskwire", 0.0001) == 400
    assert WORKLOADS["unary"].size("taskwire", 0.101) % 32 == 0


def test_no_pair_is_begun_that_would_end_too_late() -> None:
    assert fits(1, 0.0, minutes=1)
    assert fits(2, 30.0, minutes=1)
    assert not fits(2, 30.1, minutes=1)
    assert not fits(5, 49.0, minutes=1)
