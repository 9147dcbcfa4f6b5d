"""F21: wall clocks are off by an hour."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from urllib.request import urlopen

from tests.chaos.cluster import TESTS, Shape
from tests.chaos.context import Chaos
from tests.chaos.rows.registry import row

HOUR_S = 3600
RUNS_S = 6.0
"""How long the tasks take that run while clocks are set."""

WRONG_CLOCK = TESTS / "chaos" / "clock"
"""Where a process finds the `sitecustomize` that makes its clock wrong."""


@row(
    "F21",
    "Wall clocks are off by an hour, either way",
    needs_s=60,
    shape=Shape(workers=2, python_path=[WRONG_CLOCK]),
    true_clocks=False,
)
def clocks_off(chaos: Chaos) -> None:
    """With SQLite the clock of the host is set, with PostgreSQL that of one of several hosts.

    No lease ends and no attempt is given up for it. What is due by the calendar is so by SQLite's
    host's clock: a timer that was set before the hour was taken back waits until it has passed
    again, so the clock is put back first and forward then.
    """
    chaos.load.more(20)
    names = set_together(chaos)
    for ahead_s in (-HOUR_S, 0, HOUR_S):
        running = [chaos.submit(kind, RUNS_S) for kind in ("Work", "WorkAsync", "WorkApart")]
        for task_id in running:
            chaos.journal.begun(task_id)
        with chaos.fault(f"set to {ahead_s:+d} s", " ".join(names)):
            for name in names:
                set_clock(chaos, name, ahead_s)
            for task_id in running:
                assert chaos.ended(task_id).state == "SUCCEEDED"
                assert len(chaos.journal.entries(task_id)) == 2, "it was begun again"
        chaos.load.more(20)
        assert clocks(chaos) == {name: ahead_s if name in names else 0 for name in clocks(chaos)}


def set_together(chaos: Chaos) -> list[str]:
    """The processes whose clock is set."""
    names = chaos.cluster.shape.names
    return names if chaos.cluster.shape.store == "sqlite" else [chaos.chance.choice(names)]


def set_clock(chaos: Chaos, name: str, ahead_s: int) -> None:
    """The clock of a process and of all that it has started goes on from another time."""
    folder = chaos.cluster.folder / name
    folder.mkdir(exist_ok=True)
    new = folder / "new-clock"
    new.symlink_to(str(ahead_s))
    new.replace(folder / "wall-clock")


def clocks(chaos: Chaos) -> dict[str, int]:
    """How far each process's clock is ahead, to the hour, by what it says of the time itself."""
    return {
        name: round(_ahead_s(chaos, name) / HOUR_S) * HOUR_S for name in chaos.cluster.processes
    }


def _ahead_s(chaos: Chaos, name: str) -> float:
    address = f"http://127.0.0.1:{chaos.cluster.port(name, 'admin')}/metrics"
    with urlopen(address, timeout=10) as answer:
        return parsedate_to_datetime(answer.headers["Date"]).timestamp() - time.time()
