"""The reader of lists: threads and connections apart from those of short reads.

A list may look at ten thousand candidates and a count at all rows: whoever waits for one task
does not wait behind them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import sqlalchemy as sa

from taskwire_core.filters import Filter
from taskwire_core.listing import Counts, Group, Listing, TaskEvent, TaskPage
from taskwire_db.clock import Clock
from taskwire_db.database import Database
from taskwire_db.lists.counts import count_tasks
from taskwire_db.lists.events import list_events
from taskwire_db.lists.pages import list_tasks

R = TypeVar("R")

THREADS = 2
CACHE_KIB = 65_536
"""What SQLite keeps of the indexes for each thread: a list looks at scattered pages."""


class ListReader:
    """Lists and counts of one database, each in a transaction that sees one state."""

    def __init__(self, url: str, *, clock: Clock | None = None) -> None:
        self.database = Database(url, clock=clock, writable=False)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="taskwire-lists")
        prepare = _prepare_sqlite if self.database.is_sqlite else _prepare_postgresql
        sa.event.listen(self.database.engine, "connect", prepare)

    async def list_tasks(self, wish: Listing) -> TaskPage:
        """One page of a list.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        return await self._run(lambda c: list_tasks(self.database, c, wish))

    async def count_tasks(
        self, owner: str, filter_: Filter, groups: Sequence[Group], *, within_s: float
    ) -> Counts:
        """How many of `owner`'s tasks match, by the values of `groups`.

        Raises:
            StoreUnavailable: the database does not answer.
            TooManyToCount: rows have to be looked at, and more than `within_s` is enough for.
        """
        return await self._run(
            lambda c: count_tasks(self.database, c, owner, filter_, groups, within_s)
        )

    async def list_events(
        self, task_id: bytes, *, owner: str, after_version: int, limit: int
    ) -> list[TaskEvent] | None:
        """The next transitions of a task, the oldest first; None when `owner` has no such task.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        return await self._run(lambda c: list_events(c, task_id, owner, after_version, limit))

    def close(self) -> None:
        """End the threads and close the connections."""
        self._threads.shutdown(wait=True)
        self.database.close()

    async def _run(self, read: Callable[[sa.Connection], R]) -> R:
        def in_thread() -> R:
            with self.database.snapshot() as connection:
                return read(connection)

        return await asyncio.get_running_loop().run_in_executor(self._threads, in_thread)


def _prepare_sqlite(connection: Any, _record: object) -> None:  # the driver's
    connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")


def _prepare_postgresql(connection: Any, _record: object) -> None:  # the driver's
    # A plan that knows neither the label nor the limit takes them for common and large.
    connection.execute("SET plan_cache_mode = force_custom_plan")
    connection.execute("SET jit = off")
    connection.commit()
