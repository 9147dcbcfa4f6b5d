"""Keeps one cluster for hours and plays rows of the fault matrix on it, in a random order (F37).

    make soak HOURS=8

A lap is a new load and some minutes of rows. At its end everything must have ended, its history
is checked like that of a row, what the processes use is compared with what they used before the
first lap, and all tasks are deleted, so that the next lap begins with an empty store.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from google.longrunning import operations_pb2

from taskwire.client import Client
from tests.chaos.checking import Violation, check
from tests.chaos.cluster import Cluster, Shape
from tests.chaos.dumps import dump, measure
from tests.chaos.history import read
from tests.chaos.load import Load, Plan
from tests.chaos.playing import under_load
from tests.chaos.proxies import Proxies
from tests.chaos.recording import Recorder
from tests.chaos.records import Fault
from tests.chaos.reliability import ROOT
from tests.chaos.remains import Process, TaskRow
from tests.chaos.rows import Row, all_rows
from tests.chaos.servers import Servers
from tests.chaos.work import type_of

HISTORIES = ROOT / ".cache" / "soak"
SHAPE = Shape(store="postgresql", gateways=2, workers=2)
ROWS_A_LAP = 4
_BOUND_S = 120.0


@dataclass(frozen=True, slots=True)
class Lap:
    """What came of a lap."""

    rows: Sequence[Row]
    faults: int
    tasks: int
    violations: Sequence[Violation]
    history: Path


def soakable() -> list[Row]:
    """The rows that ask for nothing that the one cluster does not have."""
    return [
        row
        for row in all_rows()
        if SHAPE.store in row.stores
        and row.plan is not None
        and not row.shape.settings
        and not row.shape.python_path
        and not row.shape.keepers
        and row.shape.gateways <= SHAPE.gateways
        and row.shape.workers <= SHAPE.workers
    ]


class Soak:
    """The cluster that is kept, and its laps so far."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self.laps: list[Lap] = []
        self._cluster = cluster
        self._seed = seed
        self._chance = random.Random(seed)
        self._base: list[Process] = []

    def lap(self) -> Lap:
        """A new load, some rows, the end of everything, and the check."""
        number = len(self.laps) + 1
        recorder = self._recorder()
        rows = self._chance.choices(soakable(), k=ROWS_A_LAP)
        print(f"lap {number}: {', '.join(row.number for row in rows)} …", flush=True)
        load = Load(self._cluster.addresses, recorder, self._chance.getrandbits(31), Plan())
        with under_load(self._cluster, recorder, load, self._chance, _BOUND_S) as chaos:
            for row in rows:
                row.function(chaos)
                self._cluster.make_whole()
        dump(recorder, self._cluster)
        recorder.close()
        kept = self._cluster.history.rename(HISTORIES / f"{self._seed}-lap-{number}.jsonl")
        history = read(kept)
        found = Lap(
            rows,
            sum(isinstance(each, Fault) for each in history.records),
            sum(isinstance(each, TaskRow) for each in history.records),
            check(history),
            kept,
        )
        self.laps.append(found)
        self._forget_all()
        return found

    def _recorder(self) -> Recorder:
        # An attempt that was taken away may have written its end when the last lap was over.
        self._cluster.history.unlink(missing_ok=True)
        recorder = Recorder(
            self._cluster.history,
            seed=self._seed,
            lease_ttl_s=self._cluster.shape.lease_ttl_s,
            recovery_bound_s=_BOUND_S,
            isolated_types=[type_of("WorkApart")],
        )
        if not self._base:
            measure(recorder, self._cluster, "before")
            self._base = recorder.measured
        else:
            # Whatever leaks over the laps is seen beside the first one.
            recorder.measured = self._base
            for process in self._base:
                recorder.write(process)
        return recorder

    def _forget_all(self) -> None:
        with Client(self._cluster.address()) as client:
            begun = client.bulk.delete("create_time > 2000-01-01T00:00:00Z", force=True)
            assert isinstance(begun, operations_pb2.Operation), begun
            *_, last = client.operations.follow(begun.name)
            assert last.done, last


def _printed(lap: Lap) -> None:
    violations = len(lap.violations)
    print(f"    faults={lap.faults} tasks={lap.tasks} violations={violations}", flush=True)
    if lap.violations:
        print("\n".join(map(str, lap.violations)))
        print(f"    history: {lap.history}", flush=True)
    else:
        lap.history.unlink()


def main(arguments: Sequence[str]) -> int:
    """What the command does; its exit code is 1 when a promise was broken or a row stumbled."""
    parser = argparse.ArgumentParser(description="Play rows on one cluster for hours.")
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(31))
    options = parser.parse_args(arguments)
    HISTORIES.mkdir(parents=True, exist_ok=True)
    print(f"{options.hours:g} hours, seed {options.seed}", flush=True)
    until = time.monotonic() + options.hours * 3600
    history = HISTORIES / f"{options.seed}.jsonl"
    with (
        closing(Proxies(options.seed)) as proxies,
        closing(Servers()) as servers,
        closing(Cluster(SHAPE, servers, proxies, history)) as cluster,
    ):
        cluster.start_all()
        soak = Soak(cluster, options.seed)
        try:
            while time.monotonic() < until or not soak.laps:
                _printed(soak.lap())
        except KeyboardInterrupt:
            print("interrupted")
        except Exception:
            print(cluster.logs())
            raise
    laps = soak.laps
    violations = sum(len(lap.violations) for lap in laps)
    print(
        f"soak: laps={len(laps)} faults={sum(lap.faults for lap in laps)}"
        f" tasks={sum(lap.tasks for lap in laps)} violations={violations}"
    )
    return 1 if violations or not laps else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
