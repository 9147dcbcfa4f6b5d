"""C1 to C6: services that are killed at each of their failpoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.chaos.caller import OPERATIONS
from tests.chaos.cluster import Shape
from tests.chaos.context import Chaos
from tests.chaos.crash_points import (
    CRASH_POINTS,
    GATEWAY,
    KEEPER,
    SUPERVISOR,
    WORKER,
    CrashPoint,
    Kill,
    crash,
)
from tests.chaos.load import Plan
from tests.chaos.rows.registry import row

SHAPE = Shape(keepers=1, settings={"lease_ttl": "3s", "drain_grace": "2s"})
# What retention deletes was never acknowledged to a caller: nobody may be told of it by a list.
PLAN = Plan(callers=2, pause_s=0.25, operations={**OPERATIONS, "watch many": 3, "list": 0})


@dataclass(frozen=True, slots=True)
class Crashes:
    """A row that crashes at some points, one after the other."""

    number: str
    title: str
    needs_s: float
    points: Sequence[CrashPoint]
    action: Kill = "kill"
    fast: bool = False


CRASHES = (
    Crashes(
        "C1",
        "Killed at a failpoint of each room",
        110,
        [point for point in CRASH_POINTS if point.fast],
        fast=True,
    ),
    Crashes("C2", "A gateway is killed at each failpoint", 220, GATEWAY),
    Crashes("C3", "A keeper is killed at each failpoint", 250, KEEPER),
    Crashes("C4", "A worker process is killed at each failpoint", 185, WORKER),
    Crashes("C5", "A worker's host is lost at each failpoint", 285, WORKER, "kill-group"),
    Crashes("C6", "A supervisor or a spool is cut off at each step", 270, SUPERVISOR),
)


def _played(crashes: Crashes) -> Callable[[Chaos], None]:
    def crash_at_all(chaos: Chaos) -> None:
        for point in crashes.points:
            crash(chaos, point, crashes.action)
        chaos.cluster.make_whole()
        chaos.load.more(20)

    return crash_at_all


for each in CRASHES:
    declare = row(
        each.number,
        each.title,
        needs_s=each.needs_s,
        fast=each.fast,
        shape=SHAPE,
        plan=PLAN,
        recovery_bound_s=90,
    )
    declare(_played(each))
