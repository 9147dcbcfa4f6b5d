"""How long it took until things went on after a fault."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from taskwire_core.lifecycle import Event
from tests.chaos.checking.facts import Facts, is_terminal
from tests.chaos.history import History
from tests.chaos.records import Fault
from tests.chaos.remains import TaskEvent


@dataclass(frozen=True, slots=True)
class Recovery:
    """After a fault's end: how many tasks were live and due, and when each of them went on.

    A task has gone on when an attempt of it was claimed, or it has ended. `stuck` of them never
    did. The times are None when there was no task.
    """

    fault: Fault
    tasks: int
    stuck: int
    p50_s: float | None
    p99_s: float | None
    max_s: float | None


def recoveries(history: History) -> list[Recovery]:
    """One for each fault, in the order of the file.

    The times are the database's, so that a fault of its clock spoils them.
    """
    facts = Facts(history)
    return [_recovery(facts, fault) for fault in facts.of(Fault)]


def percentile(sorted_values: Sequence[float], part: float) -> float | None:
    """The smallest value that at least `part` of them do not exceed."""
    if not sorted_values:
        return None
    return sorted_values[max(0, math.ceil(part * len(sorted_values)) - 1)]


def _recovery(facts: Facts, fault: Fault) -> Recovery:
    end = facts.header.wall_at(facts.fault_ends[fault.fault])
    waits = list(_waits(facts, end))
    times = sorted(wait for wait in waits if wait is not None)
    stuck = len(waits) - len(times)
    return Recovery(
        fault,
        len(waits),
        stuck,
        percentile(times, 0.5),
        percentile(times, 0.99),
        times[-1] if times else None,
    )


def _waits(facts: Facts, end: float) -> Iterator[float | None]:
    """Of each task that was live then: how long it took to go on; None if it never did."""
    for row, events in facts.tasks():
        before = [event for event in events if event.wall <= end]
        if not before or is_terminal(before[-1].state) or row.not_before > end:
            continue
        after = next((event for event in events[len(before) :] if _goes_on(event)), None)
        yield None if after is None else after.wall - end


def _goes_on(event: TaskEvent) -> bool:
    return event.event == Event.CLAIM or is_terminal(event.state)
