"""Work that ends when a test says so, and leaves a trace that no process can take along."""

from __future__ import annotations

import os
import time
from pathlib import Path


class Gates:
    """A folder with a journal and one gate per name; whoever works waits at the gate."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._journal = folder / "gates.txt"

    def open(self, *names: str) -> None:
        """Let the work of these names end, whoever does it, now and later."""
        for name in names:
            (self._folder / f"{name}.open").touch()

    def work(self, name: str) -> None:
        """Begin, wait until the gate is open, and end."""
        self._note("begin", name)
        while not (self._folder / f"{name}.open").exists():
            time.sleep(0.01)
        self._note("end", name)

    def begun(self, name: str) -> int:
        """How often work of that name has begun."""
        return self._count("begin", name)

    def ended(self, name: str) -> int:
        """How often work of that name has ended."""
        return self._count("end", name)

    def _count(self, what: str, name: str) -> int:
        lines = self._journal.read_text().splitlines() if self._journal.exists() else []
        return lines.count(f"{what} {name}")

    def _note(self, what: str, name: str) -> None:
        # One write of a short line with O_APPEND is atomic between processes.
        fd = os.open(self._journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(fd, f"{what} {name}\n".encode())
        finally:
            os.close(fd)
