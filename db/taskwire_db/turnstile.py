"""The turnstile: writers of all processes take turns at a SQLite file, and none is starved."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Iterator

from taskwire_core.errors import StoreUnavailable

_POLL_S = 0.0003


class Turnstile:
    """Two file locks that make writers of all processes take turns.

    A writer waits at the gate while holding the queue's place, so that the one whose turn ends
    cannot take the next one too. The locks end with their process, so a crash frees them; a
    process that is stopped in its turn keeps it, so the others wait `patience_s` at most. They
    poll, because a wait for a file lock that is under way cannot be given up.
    """

    def __init__(self, database: str | None, *, patience_s: float) -> None:
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._paths = None
        if database and database != ":memory:":
            self._paths = (f"{database}-gate", f"{database}-queue")
        self._files: tuple[int, int] | None = None
        self._pid = 0

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the turn for the block.

        Raises:
            StoreUnavailable: somebody else has held it for too long, or it cannot be had at all.
        """
        deadline = time.monotonic() + self._patience_s
        if not self._lock.acquire(timeout=self._patience_s):
            raise self._held_too_long()
        try:
            if self._paths is None:
                yield
                return
            gate = self._enter(*self._open(self._paths), deadline)
            try:
                yield
            finally:
                fcntl.flock(gate, fcntl.LOCK_UN)
        finally:
            self._lock.release()

    def _enter(self, gate: int, queue: int, deadline: float) -> int:
        self._take(queue, deadline)
        try:
            self._take(gate, deadline)
        finally:
            fcntl.flock(queue, fcntl.LOCK_UN)
        return gate

    def _take(self, file: int, deadline: float) -> None:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise self._held_too_long() from None
                time.sleep(_POLL_S)
            else:
                return

    def _held_too_long(self) -> StoreUnavailable:
        return StoreUnavailable(
            f"database is locked: another process has held it for {self._patience_s:g} s"
        )

    def _open(self, paths: tuple[str, str]) -> tuple[int, int]:
        # A forked child would share the parent's locks: it opens files of its own.
        if self._files is None or self._pid != os.getpid():
            gate = _opened(paths[0])
            try:
                queue = _opened(paths[1])
            except StoreUnavailable:
                os.close(gate)
                raise
            self._files, self._pid = (gate, queue), os.getpid()
        return self._files


def _opened(path: str) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreUnavailable(f"cannot open the database's lock: {error}") from error
