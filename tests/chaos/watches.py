"""The watches of a load: each is read to its end in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from taskwire.client import CallFailed
from tests.support.eventually import eventually


class Watches:
    """Opens up to `most` watches at the same time, and leaves the others out."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._open = 0
        self.opened = 0
        self.problems: list[BaseException] = []

    def open(self, watch: Callable[[], Iterator[object]]) -> bool:
        """Begin to read a watch; whether there was room for it."""
        with self._lock:
            if self._open >= self._most:
                return False
            self._open += 1
            self.opened += 1
        threading.Thread(target=self._read, args=[watch], daemon=True).start()
        return True

    def all_ended(self, within: float) -> None:
        """Wait until each has come to its end, as it must when all tasks have.

        Raises:
            AssertionError: one has missed it.
        """
        eventually(lambda: self._open == 0, within=within, what="every watch has ended")

    def _read(self, watch: Callable[[], Iterator[object]]) -> None:
        try:
            for _event in watch():
                pass
        except CallFailed:
            pass  # It is in the history.
        except BaseException as problem:
            self.problems.append(problem)
        finally:
            with self._lock:
                self._open -= 1
