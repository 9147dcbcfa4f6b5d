"""F22: of two keepers the one that leads is lost, or goes on as if it still led."""

from __future__ import annotations

from tests.chaos.cluster import Shape
from tests.chaos.context import Chaos
from tests.chaos.rows.registry import row
from tests.chaos.stops import metric, stopped_of, wait_until_stopped
from tests.support.eventually import eventually

KEEPERS = ("keeper", "keeper-2")

_WITHIN_A_SWEEP = ("sweep.begun", "sweep.due", "sweep.backlog")


@row(
    "F22",
    "Of two keepers the one that leads is killed, or stands still and wakes as if it led",
    needs_s=75,
    shape=Shape(keepers=2, workers=2),
)
def two_keepers(chaos: Chaos) -> None:
    chaos.load.more(20)
    # The first one has just been told that it leads, the second one is in the middle of a sweep.
    for point in ("keeper.leads", chaos.chance.choice(_WITHIN_A_SWEEP)):
        leader = _leader(chaos)
        late = next(name for name in KEEPERS if name != leader)
        chaos.cluster.send("TERM", late)
        assert chaos.cluster.wait_until_ended(late) == 0
        chaos.cluster.start(late, failpoints=f"{point}:stop@3")
        chaos.kill(leader)
        wait_until_stopped(chaos.cluster, late)
        with chaos.fault("SIGSTOP", late):
            chaos.cluster.start(leader)
            eventually(lambda: _leads(chaos, leader), within=30, what=f"{leader} leads again")  # noqa: B023  # called at once
            chaos.load.more(20)
            assert stopped_of(chaos.cluster, late)
            chaos.cluster.send("CONT", late, to="all")
        chaos.load.more(20)
        _leader(chaos)


def _leader(chaos: Chaos) -> str:
    """The keeper that leads, once it is the only one."""

    def found() -> str:
        leading = [name for name in KEEPERS if _leads(chaos, name)]
        assert len(leading) == 1, leading
        return leading[0]

    return eventually(found, within=30, what="one keeper leads")


def _leads(chaos: Chaos, name: str) -> bool:
    return metric(chaos.cluster, name, "taskwire_keeper_leads") == 1
