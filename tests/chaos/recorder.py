"""The recorder: it writes a history while it happens."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.history import Record, line_of
from tests.chaos.records import Fault, FaultEnd, Header
from tests.chaos.remains import Canary, Dumped, Process


def now() -> float:
    """The `at` of what happens now, in any process of this host."""
    return time.monotonic()


class Recorder:
    """Writes each record to a new file at `path` at once, so that a crash of the test keeps it.

    It may be used from any number of threads. Handlers `append` their journal to the same file.
    """

    def __init__(
        self,
        path: Path,
        *,
        seed: int,
        lease_ttl_s: float,
        recovery_bound_s: float,
        isolated_types: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.path = path
        self.canaries: list[str] = []
        self.measured: list[Process] = []
        """What the services used at rest, when they were last measured."""
        self._numbers = itertools.count(1)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
        self._file = os.open(path, flags, 0o600)
        self.write(
            Header(
                at=now(),
                wall=time.time(),
                seed=seed,
                lease_ttl_s=lease_ttl_s,
                recovery_bound_s=recovery_bound_s,
                isolated_types=tuple(isolated_types),
                settings=dict(settings or {}),
            )
        )

    def write(self, record: Record) -> None:
        """Add a line."""
        # Every write is a line of its own whoever else writes, so that no lock is needed.
        os.write(self._file, line_of(record))

    def number(self) -> int:
        """A number for an operation, a batch, a watch or a fault that no other one has."""
        return next(self._numbers)

    def canary(self, text: str) -> str:
        """`text`, once it is known as a secret that must appear nowhere."""
        self.canaries.append(text)
        self.write(Canary(text))
        return text

    def begin_fault(self, name: str, target: str = "") -> int:
        """Write down that something is broken now; the number is for `end_fault`."""
        number = self.number()
        self.write(Fault(now(), number, name, target))
        return number

    def end_fault(self, number: int) -> None:
        """Write down that it is whole again."""
        self.write(FaultEnd(now(), number))

    @contextmanager
    def fault(self, name: str, target: str = "") -> Iterator[None]:
        """Something is broken as long as the block takes."""
        number = self.begin_fault(name, target)
        try:
            yield
        finally:
            self.end_fault(number)

    def dumped(self) -> None:
        """Write down that all that was left was dumped: the history is complete."""
        self.write(Dumped(now()))

    def close(self) -> None:
        """Write no more."""
        os.close(self._file)
