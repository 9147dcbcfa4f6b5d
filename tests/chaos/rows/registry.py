"""The table of rows, and what each row says of itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.chaos.checking import Violation
from tests.chaos.cluster import Shape, Store
from tests.chaos.history import History
from tests.chaos.load import Plan
from tests.chaos.servers import Dependency

if TYPE_CHECKING:
    from tests.chaos.context import Chaos

ROWS: dict[str, Row] = {}
"""Every row that was declared, by its number."""

Invariant = Callable[[History], list[Violation]]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the fault matrix: a function that breaks things while a load goes on."""

    number: str
    title: str
    function: Callable[[Chaos], None]
    needs_s: float
    """How long it takes on two cores, from start to end."""
    fast: bool
    """Whether it is a part of `make test`."""
    shape: Shape
    stores: Sequence[Store]
    """Those that it is run on; a seed picks one."""
    breaks: frozenset[Dependency]
    """The servers that it gets for itself, to be stopped, killed or filled up."""
    plan: Plan | None
    """The load; with None there is none but what the row submits."""
    recovery_bound_s: float
    """Everything must have ended this long after the last fault."""
    true_clocks: bool
    """Whether recovery can be read from the database's clock."""
    invariants: Sequence[Invariant]
    """What must hold of its history beside I1 to I16."""

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"{self.number} {self.title}"


def row(
    number: str,
    title: str,
    *,
    needs_s: float,
    fast: bool = False,
    shape: Shape | None = None,
    stores: Sequence[Store] = ("sqlite", "postgresql"),
    breaks: Sequence[Dependency] = (),
    plan: Plan | None = Plan(),  # noqa: B008  # it is frozen
    recovery_bound_s: float = 60.0,
    true_clocks: bool = True,
    invariants: Sequence[Invariant] = (),
) -> Callable[[Callable[[Chaos], None]], Callable[[Chaos], None]]:
    """Declares a function as a row of the matrix."""

    def declare(function: Callable[[Chaos], None]) -> Callable[[Chaos], None]:
        assert number not in ROWS, f"{number} was declared already"
        ROWS[number] = Row(
            number,
            title,
            function,
            needs_s,
            fast,
            shape or Shape(),
            stores,
            frozenset(breaks),
            plan,
            recovery_bound_s,
            true_clocks,
            invariants,
        )
        return function

    return declare
