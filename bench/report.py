"""A run as tables: the targets with their ratios, and the absolute figures."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from bench.rounds import Round
from bench.verdicts import Measured, Verdict


def spread(values: Sequence[float]) -> str:
    """Median [least, most]."""
    return f"{_short(statistics.median(values))} [{_short(min(values))}, {_short(max(values))}]"


def targets_text(verdicts: Sequence[Verdict]) -> str:
    """For a terminal: a line for each figure."""
    lines = []
    for verdict in verdicts:
        lines.append(f"{verdict.target.name}: {_word(verdict)}")
        lines += [f"    {' · '.join(_cells(figure))}" for figure in verdict.figures]
    return "\n".join(lines)


def targets_table(verdicts: Sequence[Verdict]) -> str:
    """For a page: a row for each figure."""
    lines = [
        "| workload | figure | median [least, most] | must | aim | |",
        "|---|---|---|---|---|---|",
    ]
    for verdict in verdicts:
        for number, figure in enumerate(verdict.figures):
            name, word = (verdict.target.name, _word(verdict)) if number == 0 else ("", "")
            lines.append(f"| {name} | {' | '.join(_cells(figure))} | {word} |")
    return "\n".join(lines)


def absolute_table(rounds: Sequence[Round]) -> str:
    """For a page: what each subject did at each workload, as medians."""
    lines = [
        "| workload | subject | ended/s | answered/s | p50 ms | p99 ms | CPU ms a task | other |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [f"| {' | '.join(row)} |" for row in _absolute(rounds)]
    return "\n".join(lines)


_COLUMNS = ("ended_per_s", "answered_per_s", "p50_ms", "p99_ms", "cpu_ms")
_KNOWN = {*_COLUMNS, "own_cpu_ms", "tasks"}


def _absolute(rounds: Sequence[Round]) -> Iterator[list[str]]:
    kinds = dict.fromkeys((each.workload, each.subject) for each in rounds)
    workloads = list(dict.fromkeys(workload for workload, _ in kinds))
    for workload, subject in sorted(kinds, key=lambda kind: workloads.index(kind[0])):
        some = [
            each.figures for each in rounds if (each.workload, each.subject) == (workload, subject)
        ]
        medians = {name: statistics.median(each[name] for each in some) for name in some[0]}
        other = [f"{name} {_short(found)}" for name, found in medians.items() if name not in _KNOWN]
        columns = [_short(medians[name]) if name in medians else "" for name in _COLUMNS]
        yield [workload, subject, *columns, ", ".join(other)]


def _cells(found: Measured) -> list[str]:
    sign = "" if found.figure.at_least else "≤ "
    bounds = [
        "" if bound is None else f"{sign}{_short(bound)}"
        for bound in (found.figure.must, found.figure.aim)
    ]
    return [found.figure.name, spread(found.ratios), *bounds]


def _word(verdict: Verdict) -> str:
    if not verdict.target.counts:
        return "measured"
    if not verdict.met:
        return "missed"
    aims = [figure for figure in verdict.figures if figure.figure.aim is not None]
    return "met, and its aim" if aims and all(figure.aimed for figure in aims) else "met"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
