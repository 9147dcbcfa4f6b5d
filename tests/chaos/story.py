"""A history that is told instead of recorded: legal unless its teller wants it otherwise."""

from __future__ import annotations

from collections import Counter as Tally
from dataclasses import dataclass, field

from taskwire_core.lifecycle import Event, State
from tests.chaos.checking.residue import TASKS_METRIC
from tests.chaos.history import History, Record
from tests.chaos.records import (
    Call,
    Fault,
    FaultEnd,
    Header,
    Invoke,
    Journal,
    Ok,
    Seen,
    Told,
    Unknown,
    Watch,
    WatchEnd,
)
from tests.chaos.remains import Counter, Dumped, Metric, TaskEvent, TaskRow

TYPE = "journal.v1.JournalTasks/Work"
LATER_S = 600.0
"""How long after the last record the dump is taken."""


@dataclass(slots=True)
class Tale:
    """A task of a story, as it is at the moment."""

    task_id: str
    request_id: str
    state: State | None = None
    version: int = 0
    attempt: int = 0
    result: str = "none"
    events: list[TaskEvent] = field(default_factory=list)


class Story:
    """Every step takes a second, and adds the records that a recorder would have written."""

    def __init__(self) -> None:
        self.at = 0.0
        self.records: list[Record] = []
        self.tales: list[Tale] = []
        self._numbers = iter(range(1, 1_000_000))

    def tick(self) -> float:
        self.at += 1.0
        return self.at

    def number(self) -> int:
        return next(self._numbers)

    # What clients do and see.

    def task(
        self, call: Call = "submit", *, scheduled: bool = False, group: int = 0, lost: bool = False
    ) -> Tale:
        """A task that was submitted; its answer was lost with `lost`."""
        number = self.number()
        tale = Tale(f"t{number}", f"r{number}")
        self.tales.append(tale)
        invoke = Invoke(self.tick(), number, call, tale.request_id, "", TYPE, "in", group)
        self.records.append(invoke)
        self.move(tale, Event.SUBMIT, State.SCHEDULED if scheduled else State.QUEUED)
        if lost:
            self.records.append(Unknown(self.tick(), number, "UNAVAILABLE"))
        else:
            self.records.append(Ok(self.tick(), number, (self.told(tale),)))
        return tale

    def told(self, tale: Tale) -> Told:
        """What an answer says of it now."""
        result = tale.result if tale.result != "none" else ""
        return Told(tale.task_id, tale.version, _name(tale), result)

    def ask(self, call: Call, tale: Tale) -> Ok:
        """A call about the task, answered with how it is now."""
        number = self.number()
        self.records.append(Invoke(self.tick(), number, call, task_id=tale.task_id))
        answer = Ok(self.tick(), number, (self.told(tale),))
        self.records.append(answer)
        return answer

    def watch(self, *tales: Tale) -> int:
        """A watch that has begun."""
        number = self.number()
        self.records.append(Watch(self.tick(), number, tuple(tale.task_id for tale in tales)))
        return number

    def see(self, watch: int, tale: Tale) -> None:
        """The watch is shown the task as it is now."""
        told = self.told(tale)
        self.records.append(
            Seen(self.tick(), watch, told.task_id, told.version, told.state, told.result)
        )

    def end_watch(self, watch: int, status: str = "OK", reason: str = "TERMINAL") -> None:
        self.records.append(WatchEnd(self.tick(), watch, status, reason))

    def fault(self, name: str = "kill", target: str = "worker") -> int:
        number = self.number()
        self.records.append(Fault(self.tick(), number, name, target))
        return number

    def end_fault(self, number: int) -> None:
        self.records.append(FaultEnd(self.tick(), number))

    # What happens to tasks.

    def move(self, tale: Tale, event: Event, state: State) -> TaskEvent:
        """A transition, whether the table has it or not."""
        tale.state = state
        tale.version += 1
        tale.attempt += int(event == Event.CLAIM)
        made = TaskEvent(
            tale.task_id, tale.version, state.name, event, tale.attempt, self._wall(self.tick())
        )
        tale.events.append(made)
        self.records.append(made)
        return made

    def write(self, tale: Tale, what: str, attempt: int = 0) -> Journal:
        """The handler's line of an attempt, the newest unless another one is given."""
        attempt = attempt or tale.attempt
        result = f"result-{attempt}" if what == "end" else ""
        entry = Journal(self.tick(), what, tale.task_id, attempt, result=result)  # type: ignore[arg-type]  # one of those
        self.records.append(entry)
        return entry

    def claim(self, tale: Tale) -> None:
        """An attempt that is claimed and begun."""
        self.move(tale, Event.CLAIM, State.RUNNING)
        self.write(tale, "begin")

    def succeed(self, tale: Tale) -> None:
        """An attempt that returns, and whose result is recorded."""
        self.write(tale, "end")
        tale.result = f"result-{tale.attempt}"
        self.move(tale, Event.SUCCESS, State.SUCCEEDED)

    def run(self, tale: Tale) -> None:
        """All that happens to most tasks."""
        self.claim(tale)
        self.succeed(tale)

    def lose(self, tale: Tale) -> None:
        """Its worker's lease ends, and it is due again."""
        self.move(tale, Event.LOST, State.RETRYING)
        self.move(tale, Event.DUE, State.QUEUED)

    def forget(self, tale: Tale) -> None:
        """Nothing is left of the task."""
        self.tales.remove(tale)
        self.records = [r for r in self.records if r not in tale.events]

    # What it comes to.

    def history(self) -> History:
        """All of it, with rows, counters and metrics that agree with it."""
        dumped = Dumped(self.at + LATER_S)
        left: list[Record] = [self.row(tale) for tale in self.tales]
        header = Header(
            at=0.0, wall=self._wall(0.0), seed=1, lease_ttl_s=20, recovery_bound_s=LATER_S - 1
        )
        return History(header, (*self.records, *left, *self._counts(), dumped))

    def row(self, tale: Tale) -> TaskRow:
        """What is left of a task."""
        return TaskRow(
            tale.task_id,
            _name(tale),
            tale.version,
            tale.attempt,
            TYPE,
            "journal",
            tale.request_id,
            "in",
            tale.result,
        )

    def _counts(self) -> list[Record]:
        states = Tally(_name(tale) for tale in self.tales)
        counters: list[Record] = [Counter(TYPE, state, n) for state, n in states.items()]
        return counters + [
            Metric("gateway", TASKS_METRIC, n, {"type": TYPE, "state": state, "queue": "journal"})
            for state, n in states.items()
        ]

    @staticmethod
    def _wall(at: float) -> float:
        return 1_000_000.0 + at


def _name(tale: Tale) -> str:
    assert tale.state is not None
    return tale.state.name


def replaced(history: History, old: Record, *new: Record) -> History:
    """The history with `new` instead of one record."""
    at = history.records.index(old)
    return History(history.header, (*history.records[:at], *new, *history.records[at + 1 :]))
