"""Reading tasks for callers: ids from text, one query for all who ask at the same time."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta

from taskwire_contracts.validation import not_valid
from taskwire_core.errors import FieldViolation, NotFound, Unready
from taskwire_core.ids import created_us, from_text, to_text
from taskwire_core.lifecycle import State
from taskwire_core.task import Task, View
from taskwire_gateway.ports import TaskReader

GROUP = 500
READ_BYTES = 16 * 1024 * 1024
"""Of inputs and results that one query brings; a task may have twice 4 MiB of them."""

_POSSIBLY_DELETED_AFTER = timedelta(minutes=1)


def task_id_of(text: str) -> bytes:
    """The id in a request.

    Raises:
        InvalidRequest: it is no UUID.
    """
    try:
        return from_text(text)
    except ValueError:
        violation = FieldViolation("id", "must be a task's id, a UUID", "string.uuid")
        raise not_valid([violation]) from None


def task_not_found(task_id: bytes) -> NotFound:
    """The one answer for a task that is not there and for one that is not the caller's."""
    created = created_us(task_id)
    age_us = time.time_ns() // 1000 - created if created is not None else -1
    deleted = age_us >= _POSSIBLY_DELETED_AFTER // timedelta(microseconds=1)
    hint = "; it may have been deleted since" if deleted else ""
    return NotFound(
        "TASK_NOT_FOUND",
        f"There is no task {to_text(task_id)} of yours{hint}.",
        metadata={"id": to_text(task_id), "possiblyDeleted": str(deleted).lower()},
    )


def task_not_ended(task_id: bytes, state: State, *, wish: str) -> Unready:
    """What can be done with ended tasks only was asked for one that is in `state`."""
    return Unready(
        "TASK_NOT_ENDED",
        f"The task {to_text(task_id)} is {state.name} and has not ended; wait for its end, or"
        f" cancel it, then {wish} it.",
        metadata={"id": to_text(task_id), "state": state.name},
    )


class GroupReader:
    """Reads single tasks; those asked for while a query runs share the next one."""

    def __init__(self, reader: TaskReader) -> None:
        self._reader = reader
        self._wanted: dict[View, dict[bytes, list[asyncio.Future[Task | None]]]] = {}
        self._running: asyncio.Task[None] | None = None

    async def task(self, task_id: bytes, view: View, *, owner: str) -> Task:
        """The task in `view`.

        Raises:
            NotFound: there is none, or it is another user's.
            StoreUnavailable: the store does not answer.
        """
        found = await self.find(task_id, view)
        if found is None or found.owner != owner:
            raise task_not_found(task_id)
        return found

    async def with_outcome(self, task: Task) -> Task:
        """`task`, which was read in the BASIC view, in the OUTCOME view if it has ended.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        found = await self.find(task.id, View.OUTCOME) if task.state.terminal else None
        return found or task

    async def find(self, task_id: bytes, view: View) -> Task | None:
        """The task in `view`, whosever it is; None when there is none."""
        future: asyncio.Future[Task | None] = asyncio.get_running_loop().create_future()
        wanted = self._wanted.setdefault(view, defaultdict(list))
        wanted[task_id].append(future)
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        try:
            while self._wanted:
                wanted, self._wanted = self._wanted, {}
                for view, futures in wanted.items():
                    await self._read(view, futures)
        finally:
            self._running = None

    async def _read(
        self, view: View, futures: dict[bytes, list[asyncio.Future[Task | None]]]
    ) -> None:
        ids = list(futures)
        while ids:
            chunk = ids[:GROUP]
            try:
                count, found = await self._some(chunk, view)
            except Exception as error:  # It belongs to those who asked.
                _settle_all(futures, chunk, error)
                count, found = len(chunk), {}
            for task_id in chunk[:count]:
                for future in futures[task_id]:
                    if not future.done():
                        future.set_result(found.get(task_id))
            del ids[:count]

    async def _some(self, ids: list[bytes], view: View) -> tuple[int, Mapping[bytes, Task]]:
        # One, as most are, needs nobody to look at its size first.
        if len(ids) == 1:
            return 1, await self._reader.tasks(ids, view)
        return await self._reader.some_tasks(ids, view, READ_BYTES)


def _settle_all(
    futures: dict[bytes, list[asyncio.Future[Task | None]]], ids: list[bytes], error: Exception
) -> None:
    for task_id in ids:
        for future in futures[task_id]:
            if not future.done():
                future.set_exception(error)
