"""What a run leaves in the tree says what was measured, and from how much."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.publishing import BEGIN, END, README, block, page, with_block
from bench.results import Results, read
from bench.rounds import Round, quantiles_of

RATES = {"taskwire": 3_000.0, "S1": 100.0, "S0": 600.0, "bare echo": 6_000.0}
ROUNDS = [
    Round(
        pair,
        subject,
        "unary",
        {"ended_per_s": rate, "answered_per_s": rate, "cpu_ms": 1_000 / rate},
        quantiles_of([1 / rate, 2 / rate]),
        {"worker": 1.0},
    )
    for pair in (1, 2)
    for subject, rate in RATES.items()
]
RESULTS = Results(
    began="2026-11-25T20:00:00+00:00",
    took_s=60,
    pairs=2,
    scale=1.0,
    environment={
        "cores": 2,
        "processor": "A Processor",
        "load": [0.25, 0.5, 0.75],
        "packages": {"taskwire": {"grpcio": "1.2.3"}},
    },
    rounds=ROUNDS,
)


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    RESULTS.write(tmp_path / "made" / "results.json")
    assert read(tmp_path / "made" / "results.json") == RESULTS


def test_the_readme_has_the_rows_that_count_and_what_they_were_measured_on() -> None:
    text = block(RESULTS)
    assert "2026-11-25, 2 pairs, 2 cores (A Processor, load 0.2 when it began)." in text
    assert "| unary submit, end to end | to S1 | 30 [30, 30] | 14 | 20 | met |" in text
    assert "measured |" not in text
    assert "**targets met: 2 of 2**" in text


@pytest.mark.parametrize(
    ("changed", "said"),
    [({"pairs": 1}, "1 pair,"), ({"scale": 0.5}, "rounds of 0.5 times the usual size")],
)
def test_a_smaller_run_says_so(changed: dict[str, float], said: str) -> None:
    smaller = replace(RESULTS, **changed)  # type: ignore[arg-type]  # fields by their names
    assert said in page(smaller)
    assert said in block(smaller)


def test_the_page_has_the_figures_and_the_versions() -> None:
    text = page(RESULTS)
    assert "| unary | S0 | 600 | 600 |" in text
    assert "| packages, taskwire | grpcio 1.2.3 |" in text


def test_nothing_but_the_generated_part_of_the_readme_changes() -> None:
    text = README.read_text()
    changed = with_block(text, "a table")
    assert f"{BEGIN}\na table\n{END}" in changed
    assert changed.partition(BEGIN)[0] == text.partition(BEGIN)[0]
    assert changed.partition(END)[2] == text.partition(END)[2]
