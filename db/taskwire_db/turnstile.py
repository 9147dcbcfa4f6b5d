"""The turnstile: writers of all processes take turns at a SQLite file, in the order they came."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator

from taskwire_core.errors import StoreUnavailable


class Turnstile:
    """Two file locks that make writers of all processes take turns in the order they came.

    A writer waits at the gate while holding the queue's place, so that the one in front is
    always the next. Blocking locks end with their process, so a crash frees them.
    """

    def __init__(self, database: str | None) -> None:
        self._lock = threading.Lock()
        self._paths = None
        if database and database != ":memory:":
            self._paths = (f"{database}-gate", f"{database}-queue")
        self._files: tuple[int, int] | None = None
        self._pid = 0

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the turn for the block."""
        with self._lock:
            if self._paths is None:
                yield
                return
            gate, queue = self._open(self._paths)
            fcntl.flock(queue, fcntl.LOCK_EX)
            try:
                fcntl.flock(gate, fcntl.LOCK_EX)
            finally:
                fcntl.flock(queue, fcntl.LOCK_UN)
            try:
                yield
            finally:
                fcntl.flock(gate, fcntl.LOCK_UN)

    def _open(self, paths: tuple[str, str]) -> tuple[int, int]:
        # A forked child would share the parent's locks: it opens files of its own.
        if self._files is None or self._pid != os.getpid():
            try:
                gate, queue = (os.open(p, os.O_RDWR | os.O_CREAT, 0o600) for p in paths)
            except OSError as error:
                raise StoreUnavailable(f"cannot open the database's lock: {error}") from error
            self._files, self._pid = (gate, queue), os.getpid()
        return self._files
