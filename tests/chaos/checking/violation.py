"""What the checker finds."""

from __future__ import annotations

from dataclasses import dataclass

from tests.chaos.history import Record


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken promise: a sentence, whose task, and the records that show it."""

    sentence: str
    task_id: str = ""
    records: tuple[Record, ...] = ()


@dataclass(frozen=True, slots=True)
class Violation:
    """A finding, with the number of the invariant that it breaks, such as "I3"."""

    invariant: str
    sentence: str
    task_id: str = ""
    records: tuple[Record, ...] = ()

    def __str__(self) -> str:
        task = f" (task {self.task_id})" if self.task_id else ""
        return f"{self.invariant}: {self.sentence}{task}"
