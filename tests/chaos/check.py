"""Checks a history by hand: `python -m tests.chaos.check FILE`.

It prints what happened and what was broken, each violation with the lines that show it. The exit
code is 0 for none, 1 for violations, and 2 for a file that is no history.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.checking import Recovery, Violation, check, recoveries
from tests.chaos.history import History, UnreadableHistory, line_of, read
from tests.chaos.records import Fail, Fault, Invoke, Ok, Seen, Unknown, Watch
from tests.chaos.remains import Scan, TaskRow

_MOST_RECORDS = 12
"""Of one violation; the file has all of them."""


def main(arguments: Sequence[str]) -> int:
    """What the command does; its exit code."""
    if len(arguments) != 1:
        print("usage: python -m tests.chaos.check FILE", file=sys.stderr)
        return 2
    try:
        history = read(Path(arguments[0]))
    except UnreadableHistory as error:
        print(f"{arguments[0]}: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(error, file=sys.stderr)
        return 2
    violations = check(history)
    for line in [*summary(history), *map(_recovered, recoveries(history)), *shown(violations)]:
        print(line)
    return 1 if violations else 0


def summary(history: History) -> list[str]:
    """What happened, in a few lines."""
    counted = Counter(type(record) for record in history.records)
    calls: Counter[str] = Counter(r.call for r in history.records if isinstance(r, Invoke))
    states = Counter(r.state for r in history.records if isinstance(r, TaskRow))
    open_ended = counted[Invoke] - counted[Ok] - counted[Fail] - counted[Unknown]
    return [
        f"seed        {history.header.seed}",
        f"operations  {counted[Invoke]}: {counted[Ok]} ok, {counted[Fail]} refused,"
        f" {counted[Unknown] + open_ended} unknown ({_listed(calls)})",
        f"watches     {counted[Watch]}, which were shown {counted[Seen]} states",
        f"tasks       {counted[TaskRow]} ({_listed(states)})",
        f"searched    {counted[Scan]} logs and pages for secrets",
        f"faults      {counted[Fault]}",
    ]


def shown(violations: Sequence[Violation]) -> list[str]:
    """The violations with their records."""
    lines = [f"violations  {len(violations)}"]
    for violation in violations:
        lines.append(str(violation))
        records = violation.records[:_MOST_RECORDS]
        lines += [f"    {line_of(record).decode().strip()}" for record in records]
        if left := len(violation.records) - len(records):
            lines.append(f"    … and {left} more")
    return lines


def _recovered(recovery: Recovery) -> str:
    fault = f"    {recovery.fault.name} {recovery.fault.target}".rstrip()
    if recovery.p50_s is None or recovery.p99_s is None or recovery.max_s is None:
        return f"{fault}: no task had to go on after it ({recovery.stuck} never did)"
    return (
        f"{fault}: {recovery.tasks} tasks went on after p50 {recovery.p50_s:.2f},"
        f" p99 {recovery.p99_s:.2f}, max {recovery.max_s:.2f} s ({recovery.stuck} never did)"
    )


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
