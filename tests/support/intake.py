"""A worker's intake without a store: it claims each dispatch once, for a number of slots."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from taskwire_core.errors import StoreUnavailable
from taskwire_core.task import Dispatch


class Ledger:
    """The claims of all workers together, as the store would keep them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.claimed: list[Dispatch] = []
        self._seen: set[Dispatch] = set()

    def claim(self, dispatches: Sequence[Dispatch]) -> list[Dispatch]:
        """Those of `dispatches` that nobody had claimed before."""
        with self._lock:
            mine = [each for each in dict.fromkeys(dispatches) if each not in self._seen]
            self._seen.update(mine)
            self.claimed.extend(mine)
        return mine


class FakeIntake:
    """See `taskwire_broker.ports.Intake`; a test frees slots with `finish`."""

    def __init__(self, *, slots: int, ledger: Ledger | None = None) -> None:
        self.ledger = ledger or Ledger()
        self.mine: list[Dispatch] = []
        self.groups: list[int] = []
        self.rejected: list[tuple[str, bytes, str]] = []
        self.store_away = False
        self.broken = False
        self._slots = slots
        self._changed = threading.Condition()

    def free(self, queue: str) -> int:
        return self._slots

    def claim(self, dispatches: list[Dispatch]) -> list[Dispatch]:
        if self.store_away:
            raise StoreUnavailable("the store is away")
        if self.broken:
            raise RuntimeError("a defect in the worker")
        mine = self.ledger.claim(dispatches)
        with self._changed:
            self._slots -= len(mine)
            self.mine.extend(mine)
            self.groups.append(len(dispatches))
        return mine

    def refused(self, queue: str, body: bytes, problem: str) -> None:
        self.rejected.append((queue, body, problem))

    def wait_for_slot(self, timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._slots > 0, timeout)

    def finish(self, count: int = 1) -> None:
        """`count` more slots are free."""
        with self._changed:
            self._slots += count
            self._changed.notify_all()
