"""The journal of a run while it grows: what handlers have written so far."""

from __future__ import annotations

import threading
from collections.abc import Collection
from pathlib import Path

import msgspec

from tests.chaos.records import Journal
from tests.support.eventually import eventually

_MARK = b'"kind":"journal"'


class JournalReader:
    """Reads the journal's lines of a history that is still written; from any thread."""

    def __init__(self, history: Path) -> None:
        self._history = history
        self._read_to = 0
        self._found: list[Journal] = []
        self._begun: set[str] = set()
        self._lock = threading.Lock()
        self._decoder = msgspec.json.Decoder(Journal)

    def entries(self, task_id: str = "") -> list[Journal]:
        """All lines, or those of one task, oldest first."""
        with self._lock:
            self._read_on()
            return [each for each in self._found if task_id in ("", each.task_id)]

    def how_many_begun(self, task_ids: Collection[str]) -> int:
        """How many of these tasks a handler has begun."""
        with self._lock:
            self._read_on()
            return sum(each in self._begun for each in task_ids)

    def begun(self, task_id: str, *, attempts: int = 1, within: float = 90) -> Journal:
        """The line with which the `attempts`-th of a task's attempts began, once it is there."""

        def found() -> Journal | None:
            begins = [each for each in self.entries(task_id) if each.what == "begin"]
            return begins[attempts - 1] if len(begins) >= attempts else None

        entry = eventually(found, within=within, what=f"{task_id} begins ({attempts})")
        assert entry is not None
        return entry

    def _read_on(self) -> None:
        with self._history.open("rb") as file:
            file.seek(self._read_to)
            new = file.read()
        # The last line may not be whole yet.
        whole = new[: new.rfind(b"\n") + 1]
        self._read_to += len(whole)
        new_lines = [self._decoder.decode(line) for line in whole.splitlines() if _MARK in line]
        self._found += new_lines
        self._begun.update(each.task_id for each in new_lines)
