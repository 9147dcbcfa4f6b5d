"""What a run leaves in the tree: docs/bench.md, the plots beside its JSON, and the README's table.

`make bench` ends with this; to write all of it again from the same JSON:

    .venv/bin/python -m bench.publishing
"""

from __future__ import annotations

import os
import re
import subprocess

from bench.report import absolute_table, targets_table
from bench.results import Results, read
from bench.subjects.subject import BENCH_PYTHON, ROOT
from bench.verdicts import judge, targets_met

README, PAGE, RESULTS = (
    ROOT / "README.md",
    ROOT / "docs" / "bench.md",
    ROOT / "docs" / "bench" / "results.json",
)
BEGIN, END = "<!-- measured:begin -->", "<!-- measured:end -->"
PLOTS = {
    "throughput": "Tasks per second of every subject",
    "latency": "From submission until the client knows of the end",
    "cpu": "CPU per task of all servers",
    "rows": "CPU per task with a thousand and with a million tasks in the database",
}


def publish(results: Results) -> None:
    """Write everything anew."""
    results.write(RESULTS)
    command = [str(BENCH_PYTHON), "-m", "bench.plots", str(RESULTS), str(RESULTS.parent)]
    settings = {"MPLCONFIGDIR": str(ROOT / ".cache" / "matplotlib")}
    subprocess.run(command, cwd=ROOT, env=os.environ | settings, check=True, timeout=120)
    PAGE.write_text(page(results))
    README.write_text(with_block(README.read_text(), block(results)))


def page(results: Results) -> str:
    """docs/bench.md."""
    verdicts = judge(results.rounds)
    plots = [f"![{text}](bench/{name}.svg)" for name, text in PLOTS.items()]
    parts = [
        "# What `make bench` measured",
        f"Written by `make bench`; not to be edited. {_run(results)} How it is measured, and what"
        " it cannot say, is in [performance.md](performance.md); every round is in"
        " [results.json](bench/results.json).",
        "## Targets",
        "Ratios of taskwire to the other, pair by pair. What has nothing that it must reach is only"
        " measured.",
        targets_table(verdicts),
        f"**{targets_met(verdicts)}**",
        "## Plots",
        *plots,
        "## Figures",
        "Medians of the pairs. They belong to this machine and this hour.",
        absolute_table(results.rounds),
        "## Machine",
        _machine(results),
    ]
    return "\n\n".join(parts) + "\n"


def block(results: Results) -> str:
    """The README's part."""
    verdicts = judge(results.rounds)
    counted = [verdict for verdict in verdicts if verdict.target.counts]
    return "\n\n".join(
        [
            f"{_run(results)} Ratios of taskwire to the other, pair by pair. S0 is FastAPI and"
            " Celery over RabbitMQ with confirms and results in Redis, S1 the same with a durable"
            " row of SQLite per task, as taskwire has it"
            " ([how it is measured](docs/performance.md#the-benchmark),"
            " [figures and plots](docs/bench.md)):",
            targets_table(counted),
            f"**{targets_met(verdicts)}**",
        ]
    )


def with_block(text: str, inside: str) -> str:
    """`text` with its generated part written anew."""
    assert text.count(BEGIN) == text.count(END) == 1
    pattern = re.escape(BEGIN) + ".*" + re.escape(END)
    return re.sub(pattern, lambda _: f"{BEGIN}\n{inside}\n{END}", text, flags=re.DOTALL)


def _run(results: Results) -> str:
    pairs = "1 pair" if results.pairs == 1 else f"{results.pairs} pairs"
    size = "" if results.scale == 1 else f", rounds of {results.scale:g} times the usual size"
    machine = results.environment
    return (
        f"{results.began[:10]}, {pairs}{size}, {machine['cores']} cores ({machine['processor']},"
        f" load {machine['load'][0]:.1f} when it began)."
    )


def _machine(results: Results) -> str:
    facts = dict(results.environment)
    packages = facts.pop("packages")
    facts |= {f"packages, {name}": _listed(found) for name, found in packages.items()}
    lines = ["| | |", "|---|---|"]
    lines += [f"| {name} | {_text(value)} |" for name, value in facts.items()]
    return "\n".join(lines)


def _listed(found: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in found.items())


def _text(value: object) -> str:
    return ", ".join(f"{each:.1f}" for each in value) if isinstance(value, list) else str(value)


if __name__ == "__main__":
    publish(read(RESULTS))
