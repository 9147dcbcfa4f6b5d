"""The invariants by number, and their table for people."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.chaos.checking.executions import (
    cancelled_tasks_never_start,
    executions_overlap_only_when_cut_off,
    results_are_those_of_the_last_attempt,
)
from tests.chaos.checking.facts import Facts
from tests.chaos.checking.residue import (
    counts_are_right,
    resources_are_given_back,
    secrets_stay_inside,
)
from tests.chaos.checking.submissions import (
    a_request_is_one_task,
    acknowledged_tasks_exist,
    all_tasks_end,
    refused_calls_leave_nothing,
    unknown_submissions_are_absent_or_complete,
)
from tests.chaos.checking.tellings import what_was_told_is_true
from tests.chaos.checking.transitions import (
    an_attempt_starts_once,
    nothing_follows_the_end,
    versions_and_transitions_are_right,
)
from tests.chaos.checking.violation import Finding

Invariant = Callable[[Facts], Iterator[Finding]]

INVARIANTS: dict[str, Invariant] = {
    "I1": acknowledged_tasks_exist,
    "I2": all_tasks_end,
    "I3": versions_and_transitions_are_right,
    "I4": nothing_follows_the_end,
    "I5": results_are_those_of_the_last_attempt,
    "I6": an_attempt_starts_once,
    "I7": executions_overlap_only_when_cut_off,
    "I8": what_was_told_is_true,
    "I9": a_request_is_one_task,
    "I10": unknown_submissions_are_absent_or_complete,
    "I12": cancelled_tasks_never_start,
    "I13": refused_calls_leave_nothing,
    "I14": resources_are_given_back,
    "I15": counts_are_right,
    "I16": secrets_stay_inside,
}
"""I11, that no user learns of another's task, follows when there is authentication."""


@dataclass(frozen=True, slots=True)
class Promise:
    """A row of the table: what we promise, and what the checker looks at."""

    number: str
    promise: str
    rule: str


def invariant_table() -> list[Promise]:
    """All invariants that are checked, as their docstrings say them."""
    rows = []
    for number, function in INVARIANTS.items():
        promise, _, rule = inspect.getdoc(function).partition("\n\n")  # type: ignore[union-attr]  # each has one
        rows.append(Promise(number, promise, " ".join(rule.split())))
    return rows
