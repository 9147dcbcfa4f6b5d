"""The generated parts of docs/reliability.md: the table of a run, and that of the invariants."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos.checking import invariant_table
from tests.chaos.checking.recovery import percentile
from tests.chaos.playing import Play
from tests.chaos.rows import Row

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"


@dataclass(frozen=True, slots=True)
class Totals:
    """What some plays come to."""

    plays: Sequence[Play]

    @property
    def rows(self) -> int:
        return len({each.row.number for each in self.plays})

    @property
    def faults(self) -> int:
        return sum(each.faults for each in self.plays)

    @property
    def tasks(self) -> int:
        return sum(each.tasks for each in self.plays)

    @property
    def violations(self) -> int:
        return sum(len(each.violations) for each in self.plays)

    @property
    def unfinished(self) -> int:
        return sum(bool(each.problem) for each in self.plays)

    @property
    def line(self) -> str:
        """The last line of a run."""
        return (
            f"chaos: rows={self.rows} faults={self.faults} tasks={self.tasks}"
            f" violations={self.violations}"
        )

    @property
    def recovery(self) -> list[str]:
        """p50, p99 and the most, in seconds, over all faults."""
        times = sorted(t for play in self.plays for each in play.recoveries for t in each.times_s)
        found = [percentile(times, 0.5), percentile(times, 0.99), times[-1] if times else None]
        return ["" if each is None else f"{each:.2f}" for each in found]


def results_block(rows: Sequence[Row], plays: Sequence[Play], seed: int, minutes: float) -> str:
    """What a run did and found, row by row."""
    total = Totals(plays)
    begun = f"{datetime.now(UTC):%-d %B %Y}, commit {_commit()}, seed {seed}"
    lines = [
        f"{begun}, {minutes:.0f} minutes on {_machine()}. {len(plays)} runs of {total.rows} rows:"
        f" **{total.faults} faults, {total.tasks:,} tasks, {total.violations} violations**.",
        "",
        "| row | what is broken | runs | faults | tasks | violations | p50 | p99 | max |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *(_line(row, plays) for row in rows)])


def _line(row: Row, plays: Sequence[Play]) -> str:
    own = Totals([each for each in plays if each.row.number == row.number])
    if not own.plays:
        return f"| {row.number} | {row.title} | not run | | | | | | |"
    violations = f"{own.violations}"
    if own.unfinished:
        violations += f", and {own.unfinished} did not finish"
    cells = [row.number, row.title, len(own.plays), own.faults, f"{own.tasks:,}", violations]
    return "| " + " | ".join(map(str, [*cells, *own.recovery])) + " |"


def invariants_block() -> str:
    """Each invariant: what is promised, and what the checker looks at."""
    rows = [f"| {each.number} | {each.promise} | {each.rule} |" for each in invariant_table()]
    return "\n".join(["| | promise | what is checked |", "|---|---|---|", *rows])


def with_block(text: str, name: str, block: str) -> str:
    """A page with `block` between the marks of `name`, in the place of what was there."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    pattern = f"(?s){re.escape(begin)}.*{re.escape(end)}"
    assert re.search(pattern, text), f"the page has no marks of {name}"
    return re.sub(pattern, lambda _: f"{begin}\n{block}\n{end}", text)


def publish(rows: Sequence[Row], plays: Sequence[Play], seed: int, minutes: float) -> None:
    """Write a run's table into the page."""
    block = results_block(rows, plays, seed, minutes)
    PAGE.write_text(with_block(PAGE.read_text(), "chaos", block))


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
    )
    return done.stdout.strip() or "unknown"


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores with {memory:.0f} GiB, {platform.system()}"
        f" {platform.machine()}, Python {platform.python_version()},"
        f" SQLite {sqlite3.sqlite_version}"
    )
