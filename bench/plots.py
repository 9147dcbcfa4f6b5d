"""The plots of a run, as small SVG files that are the same whenever they are drawn again.

Run with the Python of the benchmark's own environment, which has matplotlib:

    .cache/bench-venv/bin/python -m bench.plots docs/bench/results.json docs/bench
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl  # type: ignore[import-not-found]  # it is in the other environment

mpl.use("svg")
from matplotlib import pyplot as plt

from bench.results import read
from bench.rounds import QUANTILES, At, Round

NAMES = ("throughput", "latency", "cpu", "rows")
OURS, OTHERS = "#0b6e99", "#b0b0b0"
_SUBJECTS = ("taskwire", "taskwire-postgresql", "S0", "S1", "tuned")
_SUBMITS = ("unary", "stream", "batch")


def draw(rounds: Sequence[Round], folder: Path) -> None:
    """Write every plot of which something was measured."""
    mpl.rcParams.update(
        {
            # Text stays text, and ids do not depend on chance.
            "svg.fonttype": "none",
            "svg.hashsalt": "taskwire",
            "font.family": "sans-serif",
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    )
    for name, plot in zip(NAMES, (_throughput, _latency, _cpu, _rows), strict=True):
        figure, axes = plt.subplots(figsize=(7.2, 4.2), layout="constrained")
        plot(axes, rounds)
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})
        plt.close(figure)


def _throughput(axes: Any, rounds: Sequence[Round]) -> None:
    _bars(axes, rounds, "ended_per_s", (*_SUBMITS, "processed"))
    axes.set_xscale("log")
    axes.set_title("Tasks per second, from the first byte to the last end")


def _cpu(axes: Any, rounds: Sequence[Round]) -> None:
    _bars(axes, rounds, "cpu_ms", _SUBMITS)
    axes.set_title("CPU of all servers per task, ms")


def _bars(axes: Any, rounds: Sequence[Round], figure: str, workloads: Sequence[str]) -> None:
    """A bar for each subject and workload: the median, and a line from least to most."""
    rows = [
        (f"{subject}, {workload}", list(At(subject, workload, figure).values(rounds).values()))
        for workload in workloads
        for subject in (*_SUBJECTS, "raw Dramatiq")
    ]
    labels = [label for label, values in rows if values]
    found = [values for _, values in rows if values]
    middles = [statistics.median(values) for values in found]
    reach = [
        [middle - min(values) for middle, values in zip(middles, found, strict=True)],
        [max(values) - middle for middle, values in zip(middles, found, strict=True)],
    ]
    colours = [OURS if label.startswith("taskwire") else OTHERS for label in labels]
    bars = axes.barh(labels, middles, xerr=reach, color=colours, ecolor="#404040")
    axes.bar_label(bars, fmt=lambda value: f"{value:,.0f}" if value >= 10 else f"{value:.2f}")
    axes.invert_yaxis()


def _latency(axes: Any, rounds: Sequence[Round]) -> None:
    for workload, style in (("push 1 at a time", "-"), ("push 50/s", "--")):
        for subject, colour, told in (("taskwire", OURS, "push"), ("S1", OTHERS, "poll")):
            some = [
                each.latencies_ms
                for each in rounds
                if (each.subject, each.workload) == (subject, workload)
            ]
            if some:
                middle = [statistics.median(values) for values in zip(*some, strict=True)]
                label = f"{subject}, {told}, {workload.removeprefix('push ')}"
                axes.plot(middle, QUANTILES, style, color=colour, label=label)
    axes.set_xscale("log")
    axes.set_xlabel("ms")
    axes.set_ylabel("share of tasks")
    axes.set_title("From submission until the client knows of the end")
    axes.legend(frameon=False, loc="lower right")


def _rows(axes: Any, rounds: Sequence[Round]) -> None:
    for workload, style in (("unary", "-o"), ("batch", "--o")):
        points = {
            rows: list(At(f"taskwire-{rows}-rows", workload, "own_cpu_ms").values(rounds).values())
            for rows in (1_000, 1_000_000)
        }
        measured = {rows: values for rows, values in points.items() if values}
        if measured:
            middles = [statistics.median(values) for values in measured.values()]
            axes.plot(list(measured), middles, style, color=OURS, label=workload)
            lows, highs = zip(*[(min(v), max(v)) for v in measured.values()], strict=True)
            axes.fill_between(list(measured), lows, highs, color=OURS, alpha=0.15)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("tasks in the database")
    axes.set_title("CPU of gateway and worker per task, ms")
    axes.legend(frameon=False)


if __name__ == "__main__":
    draw(read(Path(sys.argv[1])).rounds, Path(sys.argv[2]))
