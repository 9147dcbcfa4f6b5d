"""A history, arranged by what the invariants ask for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from taskwire_core.lifecycle import HELD, Event, State
from tests.chaos.history import History
from tests.chaos.records import (
    Fail,
    Fault,
    FaultEnd,
    Invoke,
    Journal,
    Line,
    Ok,
    Outcome,
    Seen,
    Told,
    Unknown,
    Watch,
    WatchEnd,
)
from tests.chaos.remains import Dumped, TaskEvent, TaskRow

SUBMISSIONS = frozenset({"submit", "batch", "stream", "durable", "retry"})
"""The calls that make tasks."""

READS = frozenset({"get", "list"})
"""The calls that change nothing."""

AnyLine = TypeVar("AnyLine", bound=Line)


@dataclass(frozen=True, slots=True)
class Operation:
    """What a client asked, and what it was answered; no outcome is an unknown one."""

    invoke: Invoke
    outcome: Outcome | None

    @property
    def refused(self) -> bool:
        """Whether it has surely not happened."""
        return isinstance(self.outcome, Fail)

    @property
    def unknown(self) -> bool:
        """Whether nobody can tell."""
        return self.outcome is None or isinstance(self.outcome, Unknown)

    @property
    def task_id(self) -> str:
        """The task that a submission was told it has made; "" when it was told of none."""
        if isinstance(self.outcome, Ok) and len(self.outcome.told) == 1:
            return self.outcome.told[0].task_id
        return self.outcome.task_id if isinstance(self.outcome, Unknown) else ""


@dataclass(slots=True)
class WatchRun:
    """A watch with all that it was shown, in the order of the file."""

    begin: Watch
    seen: list[Seen] = field(default_factory=list)
    end: WatchEnd | None = None

    def of(self, task_id: str) -> list[Seen]:
        """What it was shown of one task."""
        return [seen for seen in self.seen if seen.task_id == task_id]


class Facts:
    """See above; everything is worked out once, when it is asked for."""

    def __init__(self, history: History) -> None:
        self.header = history.header
        self._by_kind: dict[type[Line], list[Line]] = defaultdict(list)
        for record in history.records:
            self._by_kind[type(record)].append(record)

    def of(self, kind: type[AnyLine]) -> list[AnyLine]:
        """All records of a kind, in the order of the file."""
        return self._by_kind[kind]  # type: ignore[return-value]  # they were put there by type

    @cached_property
    def dumped(self) -> Dumped | None:
        """When all that was left was dumped."""
        found = self.of(Dumped)
        return found[-1] if found else None

    @cached_property
    def outcomes(self) -> dict[int, list[Outcome]]:
        """The outcomes of each operation, of which there should be one."""
        found: dict[int, list[Outcome]] = defaultdict(list)
        outcomes: list[Outcome] = [*self.of(Ok), *self.of(Fail), *self.of(Unknown)]
        for outcome in outcomes:
            found[outcome.op].append(outcome)
        return found

    @cached_property
    def operations(self) -> list[Operation]:
        """What clients did."""
        return [
            Operation(invoke, next(iter(self.outcomes.get(invoke.op, ())), None))
            for invoke in self.of(Invoke)
        ]

    @cached_property
    def submissions(self) -> list[Operation]:
        """Those operations that make tasks."""
        return [each for each in self.operations if each.invoke.call in SUBMISSIONS]

    @cached_property
    def by_request(self) -> dict[str, list[Operation]]:
        """The submissions of each request id."""
        found: dict[str, list[Operation]] = defaultdict(list)
        for each in self.submissions:
            if each.invoke.request_id:
                found[each.invoke.request_id].append(each)
        return found

    @cached_property
    def deletions(self) -> dict[str, list[Operation]]:
        """The deletions of each task that may have happened."""
        found: dict[str, list[Operation]] = defaultdict(list)
        for each in self.operations:
            if each.invoke.call == "delete" and not each.refused:
                found[each.invoke.task_id].append(each)
        return found

    @cached_property
    def rows(self) -> dict[str, TaskRow]:
        """The tasks that were left."""
        return {row.task_id: row for row in self.of(TaskRow)}

    @cached_property
    def rows_by_request(self) -> dict[str, list[TaskRow]]:
        """The tasks of each request id, of which there should be one."""
        found: dict[str, list[TaskRow]] = defaultdict(list)
        for row in self.of(TaskRow):
            if row.request_id:
                found[row.request_id].append(row)
        return found

    @cached_property
    def events(self) -> dict[str, list[TaskEvent]]:
        """The transitions of each task that was left, by version."""
        found: dict[str, list[TaskEvent]] = {task_id: [] for task_id in self.rows}
        for event in sorted(self.of(TaskEvent), key=lambda each: each.version):
            if event.task_id in found:
                found[event.task_id].append(event)
        return found

    @cached_property
    def journal(self) -> dict[str, list[Journal]]:
        """What the handlers wrote of each task, by time."""
        found: dict[str, list[Journal]] = defaultdict(list)
        for entry in sorted(self.of(Journal), key=lambda each: each.at):
            found[entry.task_id].append(entry)
        return found

    @cached_property
    def watches(self) -> list[WatchRun]:
        """What watchers saw."""
        runs = {watch.watch: WatchRun(watch) for watch in self.of(Watch)}
        for seen in self.of(Seen):
            runs[seen.watch].seen.append(seen)
        for end in self.of(WatchEnd):
            runs[end.watch].end = end
        return list(runs.values())

    @cached_property
    def tellings(self) -> list[tuple[Told | Seen, Ok | Seen]]:
        """All that anybody was told of a task, each with its record."""
        found: list[tuple[Told | Seen, Ok | Seen]] = [
            (told, answer) for answer in self.of(Ok) for told in answer.told
        ]
        return found + [(seen, seen) for seen in self.of(Seen) if not seen.removed]

    @cached_property
    def fault_ends(self) -> dict[int, float]:
        """When each fault was over."""
        found = {fault.fault: fault.at for fault in self.of(Fault)}
        found.update({end.fault: end.at for end in self.of(FaultEnd)})
        return found

    @cached_property
    def quiet_since(self) -> float:
        """Since when nothing was broken and nobody asked for anything new."""
        asked = [each.at for each in self.of(Invoke) if each.call not in READS]
        return max([self.header.at, *self.fault_ends.values(), *asked])

    def due_at(self, row: TaskRow) -> float:
        """When a task is due, as an `at`."""
        return row.due - self.header.wall + self.header.at

    def taken_away(self, task_id: str, attempt: int) -> TaskEvent | None:
        """The transition by which an attempt that was claimed held its task no more."""
        for event in self.events.get(task_id, ()):
            if event.attempt == attempt and not is_held(event) and event.event != Event.SUBMIT:
                return event
        return None

    def may_overlap(self, task_id: str, attempt: int) -> bool:
        """Whether an attempt may have gone on when it held its task no more.

        Its worker may have been cut off, and a thread cannot be killed.
        """
        end = self.taken_away(task_id, attempt)
        timed_out = end is not None and end.event == Event.TIMED_OUT
        lost = end is not None and end.event == Event.LOST
        return lost or (timed_out and self.rows[task_id].type not in self.header.isolated_types)

    def tasks(self) -> Iterator[tuple[TaskRow, list[TaskEvent]]]:
        """Every task that was left, with its transitions."""
        for task_id, row in self.rows.items():
            yield row, self.events[task_id]


def is_held(event: TaskEvent) -> bool:
    """Whether a worker holds the task after this."""
    return State[event.state] in HELD


def is_terminal(state: str) -> bool:
    """Whether a state is one that a task never leaves."""
    return bool(state) and State[state].terminal
