"""The writer: one thread that commits all that is pending whenever the last commit has ended.
Whoever has something to write while nothing else is written may do it in a thread of its own.

Nothing waits for a group to grow: the transaction in progress already collects the next one, and
so does the wait for SQLite's turn, since a group is complete only when its transaction has begun.
But a thread that is at it all the time rests between its groups, and what comes then waits for the
end of that (`taskwire_db.resting`).

A caller's result arrives after the commit, and so does the announcement of what changed. An item
that cannot be written fails alone: its group is run again, one transaction per item.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from typing import Any, TypeVar

from taskwire_core.errors import StoreUnavailable
from taskwire_core.failpoints import ARMED, hit
from taskwire_core.task import Deleted, Task
from taskwire_db.clock import Clock
from taskwire_db.database import Database, Operation, Transaction
from taskwire_db.resting import rest_after

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")
Announce = Callable[[Sequence[Task | Deleted]], None]

Committed = Callable[[int, float, bool], None]

MAX_GROUP = 256
MAX_GROUP_BYTES = 32 * 1024 * 1024
"""How many bytes of payload fill a group, for the time that it holds SQLite's turn: others wait
only so long for that. What a follow-up copies of an outcome is not counted."""


class _Pending:
    """One item that waits for its commit, and where its result goes."""

    __slots__ = ("error", "future", "item", "loop", "operation", "result", "size")

    def __init__(
        self,
        operation: Operation[Any, Any],
        item: object,
        future: Future[Any] | asyncio.Future[Any],
        loop: asyncio.AbstractEventLoop | None,
        size: int,
    ) -> None:
        self.operation = operation
        self.item = item
        self.future = future
        self.loop = loop
        self.size = size
        self.result: object = None
        self.error: BaseException | None = None


class _Group:
    """What one transaction writes. It grows until that has begun, and then it is `complete`."""

    def __init__(self, first: _Pending, *, complete: bool = False) -> None:
        self.items = [first]
        self.size = first.size
        self.complete = complete
        self.began = time.monotonic()
        """When its transaction has begun, which it may have waited for."""
        self.tasks = 0
        """How many tasks it has changed, once it is committed: an item may be a batch."""

    @property
    def full(self) -> bool:
        """Whether the next item has to wait for another transaction."""
        return len(self.items) >= MAX_GROUP or self.size >= MAX_GROUP_BYTES

    def add(self, item: _Pending) -> None:
        self.items.append(item)
        self.size += item.size


class Writer:
    """Group commit for one process. `announce` is told of every task that changed, and with an
    empty list that tasks were made; `committed` of every transaction: how many items it had, its
    seconds, and whether it failed."""

    def __init__(
        self,
        database: Database,
        *,
        announce: Announce = lambda changes: None,
        committed: Committed = lambda items, seconds, failed: None,
        rest: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rest = rest
        self._database = database
        self._announce = announce
        self._committed = committed
        self._pending: queue.SimpleQueue[_Pending | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="taskwire-writer", daemon=True)
        self._writing = threading.Lock()
        """Held by whoever commits, so that announcements are in the order of the commits."""
        self._waits = False
        """Whether the thread is about to commit: nobody passes it."""
        self._closing = threading.Lock()
        """Held to add to what is pending, so that nothing comes after the end."""
        self._closed = False
        self._thread.start()

    @property
    def clock(self) -> Clock:
        """The clock of the store that it writes to."""
        return self._database.clock

    def run(
        self, operation: Operation[Item, Result], item: Item, *, size: int = 0
    ) -> Future[Result]:
        """A future of `operation`'s result for `item`, from any thread.

        `size` is how many bytes of payload it writes, where those may be many.

        Its errors: StoreUnavailable (nothing was written, unless it is OutcomeUnknown), or the
        operation's own.
        """
        future: Future[Result] = Future()
        self._put(_Pending(operation, item, future, None, size))
        return future

    def run_here(self, operation: Operation[Item, Result], item: Item) -> Result:
        """The result, when it is committed: by the calling thread itself where nothing else is
        written or waits, which saves two changes of thread. Not for an announcement's or a
        future's callback, which would wait for itself.

        Raises:
            StoreUnavailable, and the operation's own errors: see `run`.
        """
        busy = self._waits or not self._pending.empty()
        if busy or not self._writing.acquire(blocking=False):
            return self.run(operation, item).result()
        future: Future[Result] = Future()
        try:
            if self._closed:
                raise StoreUnavailable("the writer is closed")
            self._commit(_Group(_Pending(operation, item, future, None, 0)))
        finally:
            self._writing.release()
        return future.result()

    def call(
        self, operation: Operation[Item, Result], item: Item, *, size: int = 0
    ) -> asyncio.Future[Result]:
        """The same on the running event loop; a whole group wakes it up once."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._put(_Pending(operation, item, future, loop, size))
        return future

    @property
    def pending(self) -> int:
        """How many items wait for a transaction."""
        return self._pending.qsize()

    def close(self, timeout_s: float = 10.0) -> None:
        """Commit what is pending and end the thread; later calls get StoreUnavailable."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._pending.put(None)
        until = time.monotonic() + timeout_s
        self._thread.join(timeout_s)
        # Whoever commits in a thread of its own.
        if self._writing.acquire(timeout=max(0.0, until - time.monotonic())):
            self._writing.release()

    def _put(self, pending: _Pending) -> None:
        with self._closing:
            if self._closed:
                raise StoreUnavailable("the writer is closed")
            self._pending.put(pending)

    def _run(self) -> None:
        last = time.monotonic()
        while (first := self._pending.get()) is not None:
            group = _Group(first)
            self._waits = True
            with self._writing:
                self._waits = False
                self._commit(group)
            before, last = last, time.monotonic()
            if not group.full:
                tasks = max(len(group.items), group.tasks)
                took_s, since_s = last - group.began, last - before
                if rest_s := rest_after(len(group.items), tasks, took_s, since_s):
                    self._rest(rest_s)

    def _complete(self, group: _Group) -> None:
        """Add what is pending, and leave out whoever has gone: those want nothing written."""
        if group.complete:
            return
        group.complete = True
        with contextlib.suppress(queue.Empty):
            while not group.full:
                item = self._pending.get_nowait()
                if item is None:
                    self._pending.put(None)  # The end comes after this group.
                    break
                group.add(item)
        group.items = [p for p in group.items if not p.future.cancelled()]

    def _commit(self, group: _Group) -> None:
        began = time.monotonic()
        try:
            changed = self._transact(group)
        except StoreUnavailable as error:
            # It may have failed before it began; one by one, all would wait as long.
            self._complete(group)
            self._fail(group, error, began)
        except Exception as error:
            if len(group.items) > 1:
                self._committed(len(group.items), time.monotonic() - began, True)
                log.warning("a group of writes failed and is written one by one", exc_info=True)
                for pending in group.items:
                    self._commit(_Group(pending, complete=True))
                return
            self._fail(group, error, began)
        else:
            self._committed(len(group.items), time.monotonic() - began, False)
            self._tell(changed)
        _resolve(group.items)

    def _fail(self, group: _Group, error: Exception, began: float) -> None:
        self._committed(len(group.items), time.monotonic() - began, True)
        for pending in group.items:
            pending.error = error

    def _transact(self, group: _Group) -> Sequence[Task | Deleted] | None:
        """Commit the group; the tasks that it changed, None when it did nothing to any."""

        def work(transaction: Transaction) -> Sequence[Task | Deleted] | None:
            self._complete(group)
            group.began = time.monotonic()
            by_operation: dict[Operation[Any, Any], list[_Pending]] = defaultdict(list)
            for pending in group.items:
                by_operation[pending.operation].append(pending)
            for operation, some in by_operation.items():
                results = operation(transaction, [p.item for p in some])
                for pending, result in zip(some, results, strict=True):
                    # What an earlier try said was rolled back with it.
                    pending.error = result if isinstance(result, BaseException) else None
                    pending.result = result
            if ARMED:
                hit("write.executed")
            group.tasks = len(transaction.entry)
            return transaction.changed if transaction.changed or group.tasks else None

        return self._database.write(work)

    def _tell(self, changed: Sequence[Task | Deleted] | None) -> None:
        try:
            if ARMED:
                hit("write.committed")
            if changed is not None:
                self._announce(changed)
            if ARMED:
                hit("write.announced")
        except Exception:  # The commit stands, and those who asked for it must hear so.
            log.exception("changes were not announced")


def _resolve(group: Sequence[_Pending]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[_Pending]] = defaultdict(list)
    for pending in group:
        if pending.loop is None:
            _finish(pending)
        else:
            by_loop[pending.loop].append(pending)
    for loop, some in by_loop.items():
        try:
            loop.call_soon_threadsafe(_finish_all, some)
        except RuntimeError:
            # The loop has ended and with it everybody who waited.
            log.debug("an event loop ended before its writes did")


def _finish_all(group: Sequence[_Pending]) -> None:
    for pending in group:
        _finish(pending)


def _finish(pending: _Pending) -> None:
    if pending.future.done():
        return
    # A caller that goes away at this very moment must not end the writer's thread.
    with contextlib.suppress(InvalidStateError, asyncio.InvalidStateError):
        if pending.error is not None:
            pending.future.set_exception(pending.error)
        else:
            pending.future.set_result(pending.result)
