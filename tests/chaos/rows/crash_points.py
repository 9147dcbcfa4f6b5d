"""C1: services that are killed at their failpoints."""

from __future__ import annotations

from collections.abc import Sequence

from tests.chaos.caller import OPERATIONS
from tests.chaos.cluster import Shape
from tests.chaos.context import Chaos
from tests.chaos.crash_points import CRASH_POINTS, CrashPoint, Kill, crash
from tests.chaos.load import Plan
from tests.chaos.rows.registry import row

SHAPE = Shape(keepers=1, settings={"lease_ttl": "3s", "drain_grace": "2s"})
# What retention deletes was never acknowledged to a caller: nobody may be told of it by a list.
PLAN = Plan(callers=2, pause_s=0.25, operations={**OPERATIONS, "watch many": 3, "list": 0})


def _crash_at_all(chaos: Chaos, points: Sequence[CrashPoint], action: Kill = "kill") -> None:
    for point in points:
        crash(chaos, point, action)
    chaos.cluster.make_whole()
    chaos.load.more(20)


@row(
    "C1",
    "Killed at a failpoint of each room",
    needs_s=90,
    fast=True,
    stores=["sqlite"],
    shape=SHAPE,
    recovery_bound_s=90,
    plan=PLAN,
)
def a_few(chaos: Chaos) -> None:
    _crash_at_all(chaos, [point for point in CRASH_POINTS if point.fast])
