"""How long it took until things went on after a fault."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
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
    did. One that had not gone on when something else was broken is counted there. The times are
    None when there was no task; `times_s` are all of them, sorted.
    """

    fault: Fault
    tasks: int
    stuck: int
    p50_s: float | None
    p99_s: float | None
    max_s: float | None
    times_s: tuple[float, ...] = ()


def recoveries(history: History) -> list[Recovery]:
    """One for each fault, in the order of the file.

    The times are the database's, so that a fault of its clock spoils them.
    """
    facts = Facts(history)
    waits = _waits(facts)
    return [_recovery(fault, waits[fault.fault]) for fault in facts.of(Fault)]


def percentile(sorted_values: Sequence[float], part: float) -> float | None:
    """The smallest value that at least `part` of them do not exceed."""
    if not sorted_values:
        return None
    return sorted_values[max(0, math.ceil(part * len(sorted_values)) - 1)]


def _recovery(fault: Fault, waits: Sequence[float | None]) -> Recovery:
    times = sorted(wait for wait in waits if wait is not None)
    return Recovery(
        fault,
        len(waits),
        len(waits) - len(times),
        percentile(times, 0.5),
        percentile(times, 0.99),
        times[-1] if times else None,
        tuple(times),
    )


def _waits(facts: Facts) -> dict[int, list[float | None]]:
    """By fault, of each task that was live at its end: how long it took to go on, if it did."""
    found: dict[int, list[float | None]] = {fault: [] for fault in facts.fault_ends}
    ends = _ends(facts)
    for row, events in facts.tasks():
        if not events:
            continue
        ended = events[-1].wall if is_terminal(events[-1].state) else math.inf
        first = bisect_left(ends, max(events[0].wall, row.due), key=lambda end: end.wall)
        for end in ends[first:]:
            if end.wall >= ended:
                break
            wait = _wait(events, end.wall)
            if end.next_fault >= end.wall + (math.inf if wait is None else wait):
                found[end.fault].append(wait)
    return found


@dataclass(frozen=True, slots=True)
class _End:
    """When a fault was over, and since when another one lasted that was not over then."""

    wall: float
    fault: int
    next_fault: float


def _ends(facts: Facts) -> list[_End]:
    found: list[_End] = []
    next_fault = math.inf
    for fault in sorted(facts.of(Fault), key=lambda f: facts.fault_ends[f.fault], reverse=True):
        end = facts.header.wall_at(facts.fault_ends[fault.fault])
        found.append(_End(end, fault.fault, next_fault))
        next_fault = min(next_fault, facts.header.wall_at(fault.at))
    return found[::-1]


def _wait(events: Sequence[TaskEvent], end: float) -> float | None:
    after = (event.wall - end for event in events if event.wall > end and _goes_on(event))
    return next(after, None)


def _goes_on(event: TaskEvent) -> bool:
    return event.event == Event.CLAIM or is_terminal(event.state)
