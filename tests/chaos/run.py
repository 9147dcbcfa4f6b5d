"""Plays the rows of the fault matrix, all of them once and then again until the time is over.

    make chaos MINUTES=60
    make chaos ROWS=F7,F14 SEED=123 STORE=sqlite

Without MINUTES each row is played once. The first play of each row has the seed SEED itself, so
that the second line above plays again what was printed with it; the others have random ones.
Without STORE the seed picks one; with it, rows that are not for that one are left out.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import get_args

from tests.chaos.cluster import Store
from tests.chaos.playing import Play, play
from tests.chaos.proxies import Proxies
from tests.chaos.reliability import ROOT, Totals, publish
from tests.chaos.rows import Row, all_rows
from tests.chaos.servers import Servers

HISTORIES = ROOT / ".cache" / "chaos"
STORES: Sequence[Store] = get_args(Store)
_SLACK = 1.2
"""A row may take so many times as long as it says that it needs."""


class Session:
    """One run of `make chaos`: what was played so far, and what is next."""

    def __init__(
        self, rows: Sequence[Row], seed: int, minutes: float | None, store: Store | None
    ) -> None:
        self.plays: list[Play] = []
        self._rows = rows
        self._seed = seed
        self._store = store
        self._seeds = random.Random(seed)
        self._begun = time.monotonic()
        self._seconds = minutes * 60 if minutes is not None else None

    @property
    def minutes(self) -> float:
        """How long it has taken so far."""
        return (time.monotonic() - self._begun) / 60

    def upcoming(self) -> Iterator[tuple[Row, int]]:
        """A row and a seed after the other, while there is time: the least played ones first."""
        while fitting := [row for row in self._rows if self._fits(row)]:
            row = min(fitting, key=lambda each: (self._count(each), each.needs_s))
            again = self._count(row) > 0
            yield row, self._seeds.getrandbits(31) if again else self._seed

    def not_run(self) -> list[Row]:
        """The rows that did not fit the time."""
        return [row for row in self._rows if not self._count(row)]

    def _count(self, row: Row) -> int:
        return sum(each.row is row for each in self.plays)

    def _fits(self, row: Row) -> bool:
        if self._seconds is None:
            return not self._count(row)
        took = [each.took_s for each in self.plays if each.row is row]
        left_s = self._seconds - (time.monotonic() - self._begun)
        return max([row.needs_s * _SLACK, *took]) <= left_s

    def play_all(self, folder: Path) -> None:
        """Play until the time is over, printing each result as it comes."""
        with closing(Proxies(self._seed)) as proxies, closing(Servers()) as servers:
            for row, seed in self.upcoming():
                print(f"{row.name}, seed {seed} …", flush=True)
                played = play(row, seed, servers, proxies, folder, self._store)
                self.plays.append(played)
                print(_result(played), flush=True)


def _result(played: Play) -> str:
    p50, p99, most = Totals([played]).recovery
    line = (
        f"    {'well' if played.good else 'BROKEN'} in {played.took_s:.0f} s on {played.store}:"
        f" faults={played.faults} tasks={played.tasks} violations={len(played.violations)}"
        f" recovery p50={p50} p99={p99} max={most}"
    )
    if played.good:
        return line
    again = f"make chaos ROWS={played.row.number} SEED={played.seed} STORE={played.store}"
    return "\n".join(
        [line, played.verdict, f"    history: {played.history}", f"    again: {again}"]
    )


def rows_named(names: str) -> list[Row]:
    """The rows of a comma-separated list of numbers, or all of them."""
    wanted = {each.strip().upper() for each in names.split(",") if each.strip()}
    rows = all_rows()
    if unknown := wanted - {row.number for row in rows}:
        raise SystemExit(f"there is no row {', '.join(sorted(unknown))}")
    return [row for row in rows if not wanted or row.number in wanted]


def main(arguments: Sequence[str]) -> int:
    """What the command does; its exit code is 1 when a promise was broken or a row stumbled."""
    parser = argparse.ArgumentParser(description="Play the rows of the fault matrix.")
    parser.add_argument("--minutes", type=float, help="default: each row once")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(31))
    parser.add_argument("--rows", default="", help="comma-separated, such as F7,F14")
    parser.add_argument("--store", choices=STORES, help="default: one that the seed picks")
    options = parser.parse_args(arguments)
    HISTORIES.mkdir(parents=True, exist_ok=True)
    rows = [row for row in rows_named(options.rows) if options.store in (None, *row.stores)]
    session = Session(rows, options.seed, options.minutes, options.store)
    print(f"{len(rows)} rows, seed {options.seed}", flush=True)
    try:
        session.play_all(HISTORIES)
    except KeyboardInterrupt:
        print("interrupted")
    for row in session.not_run():
        print(f"{row.name}: not run")
    if not (options.rows or options.store) and session.plays:
        publish(rows, session.plays, options.seed, session.minutes)
    print(Totals(session.plays).line)
    return 0 if session.plays and all(each.good for each in session.plays) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
