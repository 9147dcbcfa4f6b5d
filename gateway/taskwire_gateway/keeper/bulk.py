"""Bulk operations: the leader does them, a chunk of each in turn, beside everybody's writes.

A chunk is read and prepared first and written in one short transaction, which compares the place
that it began from; so nothing is done twice by a process that died, or by a second leader.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from taskwire_core.bulk import BulkChunk, BulkFailure, BulkKind, BulkOperation
from taskwire_core.errors import RequestError, StoreUnavailable
from taskwire_core.failpoints import ARMED, hit
from taskwire_core.failure import Code
from taskwire_core.ids import to_text
from taskwire_core.task import NewTask, Task
from taskwire_gateway.bulk_ports import BulkWork
from taskwire_gateway.keeper.while_leading import WhileLeading
from taskwire_gateway.ports import Clock

log = logging.getLogger(__name__)

CHUNK = 500
REST = 0.1
"""How long the writer is left alone after a chunk, in times of the chunk's own duration."""

LOOK_S = 0.25
"""How often there is a look for operations when there was none."""

IDLE_S = 1.0
"""How long to wait after an error, and before asking again who leads."""

KEPT_US = 7 * 24 * 3600 * 1_000_000
FORGET_S = 600.0
_OURS = "Something went wrong on our side; ask the operator about this task."
_BREATH = 50
"""After so many inputs were checked, others on the event loop have their turn."""

Repeat = Callable[[Task], NewTask]
"""The new task that repeats an ended one; raises RequestError when today's contract refuses it."""


class BulkRunner:
    """Works while `leads` says so. `wake` has the backlog looked at, for what was retried."""

    def __init__(
        self,
        work: BulkWork,
        *,
        leads: Callable[[], bool],
        repeat: Repeat,
        wake: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._work = work
        self._repeat = repeat
        self._wake = wake
        self._clock = clock
        self._forget_at = 0.0
        self.loop = WhileLeading("bulk-operations", self._step, leads=leads, idle_s=IDLE_S)

    async def _step(self) -> float:
        """Do one chunk of each operation; how long to leave the writer to others."""
        began = time.monotonic()
        if began >= self._forget_at:
            await self._work.forget(self._clock.now_us() - KEPT_US)
            self._forget_at = began + FORGET_S
        running = await self._work.running()
        problem: Exception | None = None
        for bulk in running:
            try:
                await self._advance(bulk)
            except StoreUnavailable:
                raise
            except Exception as error:  # One that stumbles must not hold up the others.
                problem = error
        if problem is not None:
            raise problem
        return REST * (time.monotonic() - began) if running else LOOK_S

    async def _advance(self, bulk: BulkOperation) -> None:
        ids, last = await self._work.next_tasks(bulk, CHUNK)
        chunk = BulkChunk(bulk.id, bulk.cursor, tuple(ids), last)
        if bulk.scope.kind is BulkKind.RETRY:
            chunk = await self._prepared(chunk)
        if ARMED:
            hit("bulk.prepared")
        after = await self._work.advance(chunk)
        if ARMED:
            hit("bulk.advanced")
        if chunk.retries:
            self._wake()
        if after is not None and after.end_time_us is not None:
            log.info(
                "bulk operation ended",
                extra={
                    "kind": after.scope.kind.value,
                    "done": after.done,
                    "skipped": after.skipped,
                    "failed": after.failed,
                },
            )

    async def _prepared(self, chunk: BulkChunk) -> BulkChunk:
        """The chunk with the new tasks, or with why there is none."""
        retries: list[NewTask] = []
        failures: list[BulkFailure] = []
        old_tasks = await self._work.with_input(chunk.task_ids)
        for number, old in enumerate(old_tasks.values(), 1):
            try:
                retries.append(self._repeat(old))
            except RequestError as error:
                failure = BulkFailure(old.id, int(error.code), error.reason, error.message)
                failures.append(failure)
            except Exception:  # It would be the same for ever, and hold up all behind it.
                log.exception("repeating a task failed", extra={"task_id": to_text(old.id)})
                failures.append(BulkFailure(old.id, int(Code.INTERNAL), "INTERNAL", _OURS))
            if number % _BREATH == 0:
                await asyncio.sleep(0)
        return BulkChunk(
            chunk.operation_id,
            chunk.cursor,
            chunk.task_ids,
            chunk.last,
            tuple(retries),
            tuple(failures),
        )
