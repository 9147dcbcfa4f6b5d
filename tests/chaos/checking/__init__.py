"""The checker of histories: what was promised, and whether it was kept.

Each invariant is one function whose docstring says the promise first, and then the rule by which
a history is judged. All of them together say nothing about speed; `recoveries` does.
"""

from __future__ import annotations

from tests.chaos.checking.facts import Facts
from tests.chaos.checking.recovery import Recovery, recoveries
from tests.chaos.checking.table import INVARIANTS, Promise, invariant_table
from tests.chaos.checking.violation import Violation
from tests.chaos.checking.whole import the_history_is_whole
from tests.chaos.history import History

__all__ = ["Promise", "Recovery", "Violation", "check", "invariant_table", "recoveries"]


def check(history: History) -> list[Violation]:
    """Everything in the history that breaks a promise; "I0" when it is not whole."""
    facts = Facts(history)
    unusable = list(the_history_is_whole(facts))
    checks = {"I0": lambda _: iter(unusable)} if unusable else INVARIANTS
    return [
        Violation(number, found.sentence, found.task_id, found.records)
        for number, invariant in checks.items()
        for found in invariant(facts)
    ]
