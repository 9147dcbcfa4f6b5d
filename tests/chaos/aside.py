"""What a load waits for beside its callers: watches and durable calls, each in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from taskwire.client import CallFailed
from tests.support.eventually import eventually


class Aside:
    """Reads up to `most` iterators to their ends at the same time, and leaves others out."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._open = 0
        self.opened = 0
        self.problems: list[BaseException] = []

    def open(self, begin: Callable[[], Iterator[object]]) -> bool:
        """Begin to read what `begin` returns; whether there was room for it."""
        with self._lock:
            if self._open >= self._most:
                return False
            self._open += 1
            self.opened += 1
        threading.Thread(target=self._read, args=[begin], daemon=True).start()
        return True

    def all_ended(self, within: float) -> None:
        """Wait until each has come to its end, as it must when all tasks have.

        Raises:
            AssertionError: a watch has missed the end, or a call its answer.
        """
        eventually(lambda: self._open == 0, within=within, what="every watch has ended")

    def _read(self, begin: Callable[[], Iterator[object]]) -> None:
        try:
            for _each in begin():
                pass
        except CallFailed:
            pass  # It is in the history.
        except BaseException as problem:
            self.problems.append(problem)
        finally:
            with self._lock:
                self._open -= 1
