"""The table of docs/mutations.md, made of a run's verdicts."""

from __future__ import annotations

from collections.abc import Sequence

from tests.mutations.check import Verdict
from tests.mutations.guard import Guard
from tests.mutations.tree import ROOT

PAGE = ROOT / "docs" / "mutations.md"
HEADING = ("guard", "without it", "promise", "test that fails", "s")
_BEGIN, _END = "<!-- made by make mutations -->\n", "<!-- end -->\n"


def written(page: str, guards: Sequence[Guard], verdicts: Sequence[Verdict]) -> str:
    """The page with these verdicts in its table; of guards that have none it keeps the row."""
    head, _, rest = page.partition(_BEGIN)
    table, _, tail = rest.partition(_END)
    rows = {row.partition("]")[0]: row for row in table.splitlines(keepends=True)}
    rows |= {_key(verdict.guard): _line(_row(verdict)) for verdict in verdicts}
    lines = [_line(HEADING), _line(("---",) * len(HEADING))]
    lines += [rows[_key(guard)] for guard in guards if _key(guard) in rows]
    return f"{head}{_BEGIN}{''.join(lines)}{_END}{tail}"


def said_of(guard: Guard) -> tuple[str, str, str]:
    """The cells of a row that come from the guard alone."""
    link = f"[{guard.name}](../tests/mutations/guards/{guard.name}.diff)"
    return link, guard.without_it, ", ".join(map(str, guard.promises))


def _key(guard: Guard) -> str:
    """How the row of a guard begins."""
    return f"| [{guard.name}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _row(verdict: Verdict) -> tuple[str, ...]:
    tests = "<br>".join(f"`{test.rpartition('/')[2]}`" for test in verdict.caught_by)
    return (*said_of(verdict.guard), tests, f"{verdict.seconds:.0f}")
