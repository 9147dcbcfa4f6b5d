"""The table of docs/mutations.md, made of a run's verdicts."""

from __future__ import annotations

from collections.abc import Sequence

from tests.mutations.check import Verdict
from tests.mutations.guard import Guard
from tests.mutations.tree import ROOT

PAGE = ROOT / "docs" / "mutations.md"
HEADING = ("guard", "without it", "promise", "test that fails", "s")
_BEGIN, _END = "<!-- made by make mutations -->\n", "<!-- end -->\n"


def written(page: str, verdicts: Sequence[Verdict]) -> str:
    """The page with a table of these verdicts between its marks."""
    head, _, rest = page.partition(_BEGIN)
    tail = rest.partition(_END)[2]
    lines = [HEADING, ("---",) * len(HEADING), *(_row(verdict) for verdict in verdicts)]
    table = "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
    return f"{head}{_BEGIN}{table}{_END}{tail}"


def said_of(guard: Guard) -> tuple[str, str, str]:
    """The cells of a row that come from the guard alone."""
    link = f"[{guard.name}](../tests/mutations/guards/{guard.name}.diff)"
    return link, guard.without_it, ", ".join(map(str, guard.promises))


def _row(verdict: Verdict) -> tuple[str, ...]:
    tests = "<br>".join(f"`{test.rpartition('/')[2]}`" for test in verdict.caught_by)
    return (*said_of(verdict.guard), tests, f"{verdict.seconds:.0f}")
