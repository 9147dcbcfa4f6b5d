"""The reader: short reads on connections that cannot write, in a few threads of their own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa

from taskwire_core.changes import ChangePage, Cursor
from taskwire_core.lifecycle import Event, State, sources
from taskwire_core.sizes import StoreSizes
from taskwire_core.task import Task, View
from taskwire_core.user import User, UserLookup
from taskwire_db.change_log import head, read_changes
from taskwire_db.clock import Clock
from taskwire_db.database import Database
from taskwire_db.group import AnyRow
from taskwire_db.models import (
    Micros,
    gateways,
    is_state,
    option_sets,
    task_counters,
    task_deletions,
    task_requests,
    tasks,
    workers,
)
from taskwire_db.operations.reading import (
    bearable,
    tasks_at_a_glance,
    tasks_by_id,
    versions_by_id,
)
from taskwire_db.operations.users import read_user, users
from taskwire_db.sizes import read_sizes

P = ParamSpec("P")
R = TypeVar("R")

THREADS = 2

Query = sa.Select[*tuple[Any, ...]] | sa.CompoundSelect[*tuple[Any, ...]]

_lease_now = sa.bindparam("lease_now", type_=Micros)
_boot = sa.bindparam("boot", type_=sa.Text())


@dataclass(frozen=True, slots=True)
class LiveWorker:
    """A worker whose lease is alive."""

    id: bytes
    types: frozenset[str]
    queues: frozenset[str]
    slots: int
    held: int
    draining: bool


class Reader:
    """Reads of one database. Methods are synchronous; `call` runs one in the reader's threads."""

    def __init__(self, url: str, *, clock: Clock | None = None) -> None:
        self._database = Database(url, clock=clock, writable=False)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="taskwire-reader")

    @property
    def database(self) -> Database:
        """What it reads; for functions that `call` runs and that are no methods of a reader."""
        return self._database

    async def call(
        self,
        method: Callable[Concatenate[Reader, P], R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """`Reader.method(self, *args)` in a reader thread: `await r.call(Reader.get, ids)`.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: method(self, *args, **kwargs))

    def close(self) -> None:
        """End the threads and close the connections."""
        self._threads.shutdown(wait=True)
        self._database.close()

    def get(
        self,
        ids: Sequence[bytes],
        view: View = View.OUTCOME,
        *,
        owner: str | None = None,
    ) -> dict[bytes, Task]:
        """The tasks among `ids` that exist and are `owner`'s (None: anybody's), by id."""
        found = tasks_at_a_glance(self._database, ids, view)
        if owner is None:
            return found
        return {key: task for key, task in found.items() if task.owner == owner}

    def get_some(
        self, ids: Sequence[bytes], view: View, max_bytes: int
    ) -> tuple[int, dict[bytes, Task]]:
        """The tasks among the first of `ids`, and how many ids those are.

        As many as have inputs and results of `max_bytes` in all, but one at least.
        """
        with self._database.snapshot() as connection:
            count = bearable(connection, ids, view, max_bytes)
            return count, tasks_by_id(self._database, connection, ids[:count], view)

    def versions(self, ids: Sequence[bytes]) -> dict[bytes, int]:
        """The versions of the tasks among `ids` that exist."""
        return versions_by_id(self._database, ids)

    def find_requests(
        self, owner: str, request_ids: Sequence[str]
    ) -> dict[str, tuple[bytes, bytes]]:
        """The task id and request hash of each of `request_ids` that `owner` has used."""
        statement = sa.select(
            task_requests.c.request_id,
            task_requests.c.task_id,
            task_requests.c.request_hash,
        ).where(
            task_requests.c.owner == owner,
            task_requests.c.request_id.in_(list(request_ids)),
        )
        return {row[0]: (bytes(row[1]), bytes(row[2])) for row in self._all(statement)}

    def users(self, lookup: UserLookup) -> list[User]:
        """The users that are asked for, in the order of their ids."""
        statement = sa.select(users).order_by(users.c.id).limit(lookup.limit)
        if lookup.after:
            statement = statement.where(users.c.id > lookup.after)
        if lookup.id:
            statement = statement.where(users.c.id == lookup.id)
        for name in ("username", "email"):
            value = getattr(lookup, name)
            if value:
                statement = statement.where(sa.func.lower(users.c[name]) == value.lower())
        return [read_user(row) for row in self._all(statement)]

    def live_workers(self) -> list[LiveWorker]:
        """The workers whose lease is alive now."""
        statement = sa.select(
            workers.c.id,
            workers.c.types,
            workers.c.queues,
            workers.c.slots,
            workers.c.held,
            workers.c.draining,
        ).where(workers.c.boot == _boot, workers.c.lease_expires > _lease_now)
        return [
            LiveWorker(
                bytes(row[0]),
                frozenset(json.loads(row[1])),
                frozenset(json.loads(row[2])),
                row[3],
                row[4],
                bool(row[5]),
            )
            for row in self._all_now(statement)
        ]

    def dead_gateways(self) -> list[bytes]:
        """The gateways whose lease has run out: their unpublished rows want a new publisher.

        Those that are forgotten and still own rows are among them: a gateway that was stopped
        for longer than its lease may commit a last time under its old id.
        """
        dead = sa.select(gateways.c.id).where(
            (gateways.c.boot != _boot) | (gateways.c.lease_expires <= _lease_now)
        )
        forgotten = sa.select(tasks.c.gateway_id).where(
            is_state(tasks.c.state, State.QUEUED),
            tasks.c.dispatched_at.is_(None),
            tasks.c.gateway_id.is_not(None),
            tasks.c.gateway_id.not_in(sa.select(gateways.c.id)),
        )
        return [bytes(row[0]) for row in self._all_now(dead.union(forgotten))]

    def next_due_us(self) -> int | None:
        """When the next scheduled or retrying task is due, or a waiting one's time-out passes."""
        due = sa.select(sa.func.min(tasks.c.not_before)).where(
            is_state(tasks.c.state, *sources(Event.DUE))
        )
        waiting = is_state(tasks.c.state, *sources(Event.DEADLINE))
        start = sa.select(sa.func.min(tasks.c.start_deadline)).where(
            waiting, tasks.c.start_deadline.is_not(None), tasks.c.start_time.is_(None)
        )
        total = sa.select(sa.func.min(tasks.c.total_deadline)).where(
            waiting, tasks.c.total_deadline.is_not(None)
        )
        times = [self._all(statement)[0][0] for statement in (due, start, total)]
        return min((t for t in times if t is not None), default=None)

    def dispatched(self) -> dict[str, int]:
        """How many tasks of each queue are with the broker and claimed by nobody."""
        statement = (
            sa.select(tasks.c.queue, sa.func.count())
            .where(
                is_state(tasks.c.state, State.QUEUED),
                tasks.c.dispatched_at.is_not(None),
            )
            .group_by(tasks.c.queue)
        )
        return {row[0]: row[1] for row in self._all(statement)}

    def counts(self, *states: State) -> dict[tuple[str, str, str, State], int]:
        """The maintained counters: (type, queue, owner, state) → how many tasks.

        Only of `states`, where any are named.
        """
        c = task_counters.c
        statement = sa.select(c.type, c.queue, c.owner, c.state, sa.func.sum(c.count)).group_by(
            c.type, c.queue, c.owner, c.state
        )
        if states:
            statement = statement.where(c.state.in_(states))
        return {
            (row[0], row[1], row[2], State(row[3])): int(row[4])
            for row in self._all(statement)
            if row[4]
        }

    def sizes(self) -> StoreSizes:
        """How large the database is, and whether retention keeps pace."""
        with self._database.snapshot() as connection:
            now_us = self._database.clock.now_us()
            return read_sizes(self._database, connection, now_us=now_us)

    def unused_options(self) -> list[int]:
        """The option sets that no task has; a scan of all tasks, which holds up nobody."""
        statement = sa.select(option_sets.c.id).where(
            option_sets.c.id.not_in(sa.select(tasks.c.options_id))
        )
        return [row[0] for row in self._all(statement)]

    def was_deleted(self, task_id: bytes, *, owner: str) -> bool:
        """Whether `owner` had this task and it was deleted, in the last hour at least."""
        statement = sa.select(task_deletions.c.task_id).where(
            task_deletions.c.task_id == task_id, task_deletions.c.owner == owner
        )
        return bool(self._all(statement))

    def change_head(self) -> Cursor:
        """The place in the change log behind everything that is committed."""
        with self._database.snapshot() as connection:
            return head(self._database, connection)

    def changes(self, after: Cursor, limit: int) -> ChangePage:
        """What has changed since; raises CursorExpired (see `taskwire_db.change_log`)."""
        with self._database.snapshot() as connection:
            return read_changes(self._database, connection, after, limit)

    def _all(self, statement: Query) -> Sequence[AnyRow]:
        with self._database.snapshot() as connection:
            return connection.execute(statement).all()

    def _all_now(self, statement: Query) -> Sequence[AnyRow]:
        """The same for a statement that compares leases with `_lease_now` and `_boot`."""
        with self._database.snapshot() as connection:
            moment = self._database.clock.moment(connection)
            now = {"lease_now": moment.lease_us, "boot": moment.boot}
            return connection.execute(statement, now).all()
