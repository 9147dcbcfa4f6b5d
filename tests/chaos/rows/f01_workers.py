"""F1 to F6: workers that die, stand still, or run what never returns."""

from __future__ import annotations

from tests.chaos.cluster import Shape
from tests.chaos.context import Chaos
from tests.chaos.rows.registry import row


@row(
    "F1",
    "A worker is killed in the middle of a task",
    needs_s=40,
    fast=True,
    shape=Shape(workers=2),
)
def worker_killed(chaos: Chaos) -> None:
    chaos.load.more(30)
    for whole_host in (True, False):
        task_id = chaos.submit("Work", 30, slow_once=True)
        first = chaos.journal.begun(task_id)
        name = chaos.cluster.owner(first.pid)
        if whole_host:
            chaos.kill(name)
            assert not chaos.cluster.alive(name)
        else:
            assert chaos.kill_child(name) == first.pid
        second = chaos.journal.begun(task_id, attempts=2)
        assert second.pid != first.pid
        assert chaos.ended(task_id).state == "SUCCEEDED"
        if whole_host:
            chaos.cluster.start(name)
        chaos.load.more(30)
