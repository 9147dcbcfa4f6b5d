"""Whether a history can be judged at all."""

from __future__ import annotations

from collections.abc import Iterator

from tests.chaos.checking.facts import Facts
from tests.chaos.checking.violation import Finding
from tests.chaos.records import Fault, FaultEnd, Invoke, Resumed, Seen, Watch, WatchEnd


def the_history_is_whole(facts: Facts) -> Iterator[Finding]:
    """A run that was cut short has shown nothing.

    The history has a dump of what was left, each outcome is that of one operation that was
    written down before, and what belongs to a watch or to a fault has one. Nothing else is
    checked in a history that is not whole.
    """
    if facts.dumped is None:
        yield Finding("the history ends without a dump of what was left")
    known = {invoke.op for invoke in facts.of(Invoke)}
    for op, outcomes in facts.outcomes.items():
        if op not in known or len(outcomes) > 1:
            yield Finding(f"operation {op} has a strange outcome", records=tuple(outcomes))
    watches = {watch.watch for watch in facts.of(Watch)}
    lines: list[Seen | Resumed | WatchEnd] = [*facts.of(Seen), *facts.of(Resumed)]
    for line in [*lines, *facts.of(WatchEnd)]:
        if line.watch not in watches:
            yield Finding(f"watch {line.watch} was never begun", records=(line,))
    faults = {fault.fault for fault in facts.of(Fault)}
    for end in facts.of(FaultEnd):
        if end.fault not in faults:
            yield Finding(f"fault {end.fault} was never begun", records=(end,))
