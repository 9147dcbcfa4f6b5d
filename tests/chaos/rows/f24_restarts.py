"""F24: every process is restarted in turn, as a new version of handlers is rolled out.

That the versions differ meanwhile is no part of it: there is only one version yet.
"""

from __future__ import annotations

from collections.abc import Iterator

from taskwire_core.lifecycle import Event
from tests.chaos.checking import Violation
from tests.chaos.cluster import Shape
from tests.chaos.context import Chaos
from tests.chaos.history import History
from tests.chaos.remains import TaskEvent
from tests.chaos.rows.registry import row


def no_attempt_was_lost(history: History) -> list[Violation]:
    """A process that is told to end gives back what it has; nobody has to wait for its lease."""
    return list(_lost(history))


def _lost(history: History) -> Iterator[Violation]:
    for record in history.records:
        if isinstance(record, TaskEvent) and record.event == Event.LOST:
            yield Violation("F24", "an attempt was lost", record.task_id, (record,))


@row(
    "F24",
    "Every gateway, keeper and worker is restarted in turn under load",
    needs_s=130,
    shape=Shape(gateways=2, workers=2, keepers=1),
    invariants=[no_attempt_was_lost],
)
def rolling_restart(chaos: Chaos) -> None:
    # With the order that is published: gateways and keepers first, then the workers.
    for name in chaos.cluster.shape.names:
        chaos.load.more(15)
        running = chaos.submit("Work", 1.0)
        chaos.journal.begun(running)
        with chaos.fault("restarted", name):
            chaos.cluster.send("TERM", name)
            assert chaos.cluster.wait_until_ended(name) == 0
            chaos.load.more(15)
            chaos.cluster.start(name)
        assert chaos.ended(running).state == "SUCCEEDED"
