"""The database: an engine with its clock, its turnstile, and transactions that count.

Every write to SQLite is a BEGIN IMMEDIATE behind a turnstile of two file locks, because SQLite's
own busy handler starves a writer for seconds. PostgreSQL's writers work side by side: what two
of them want at once is decided by compare-and-sets, and a deadlock by trying again.
"""

from __future__ import annotations

import contextlib
import random
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc

from taskwire_core.errors import StoreUnavailable
from taskwire_core.ids import new_id
from taskwire_core.lifecycle import State
from taskwire_core.options import TaskOptions
from taskwire_core.page_tokens import KEY_BYTES
from taskwire_core.task import Deleted, Task
from taskwire_db import codec
from taskwire_db.activity import Activity
from taskwire_db.change_entry import ChangeEntry
from taskwire_db.checkpoint import checkpoint
from taskwire_db.clock import Clock, DatabaseClock, HostClock
from taskwire_db.commit import was_committed
from taskwire_db.engines import BUSY_TIMEOUT_S, engine_for, is_replaced
from taskwire_db.glances import Glances
from taskwire_db.group import RowInsert, insert_for
from taskwire_db.kept_connection import KeptConnection, commit
from taskwire_db.known_options import KnownOptions
from taskwire_db.models import deployment, option_sets, signing_keys, task_counters
from taskwire_db.problems import Contended, translated
from taskwire_db.turnstile import Turnstile
from taskwire_db.url import parse_url

Item = TypeVar("Item")
Result = TypeVar("Result")
Operation = Callable[["Transaction", Sequence[Item]], "Sequence[Result | BaseException]"]
"""A group operation: it does the same to every item, in order, inside one transaction.

A result that is an exception is raised to the one who asked for that item; the others stand.
"""

SHARDS = 8
"""How many rows a counter has on PostgreSQL; each process adds to one of them."""

_PAUSES_S = (0.005, 0.02, 0.1)
"""How long a transaction that met another one waits before it is tried again."""

PAGE_TOKENS = "page_tokens"
"""The name of the key that page tokens are signed with."""


def _use_again(insert: Any) -> Any:  # a dialect's Insert
    return insert.on_conflict_do_update(
        index_elements=["id"], set_={"used_time": insert.excluded.used_time}
    )


_insert_options = RowInsert(option_sets, conflict=_use_again)


class Database:
    """One database, opened. `writable=False` refuses every write (SQLite: query_only)."""

    def __init__(self, url: str, *, clock: Clock | None = None, writable: bool = True) -> None:
        """Open `url` (`sqlite:///path`, or `postgresql://…`), without reading it yet.

        Raises:
            ConfigurationError: the URL is not one of these.
        """
        self.url = parse_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.clock: Clock = clock or (HostClock() if self.is_sqlite else DatabaseClock())
        self.shard = 0 if self.is_sqlite else new_id()[-1] % SHARDS
        self.options = KnownOptions()
        self.engine = engine_for(self.url, writable=writable)
        self._glances = Glances(self.engine) if self.is_sqlite else None
        self._turnstile = (
            Turnstile(self.url.database, patience_s=BUSY_TIMEOUT_S) if self.is_sqlite else None
        )
        self._kept = KeptConnection(self.engine)
        self._deployment_id: bytes | None = None

    def signing_key(self) -> bytes:
        """The 32 secret bytes that this deployment's page tokens are signed with.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        named = sa.select(signing_keys.c.key).where(signing_keys.c.name == PAGE_TOKENS)
        with self.connect() as connection:
            return bytes(connection.execute(named).scalar_one())

    @property
    def place(self) -> str:
        """Where it is, for people: the URL without a password, wherever one stands in it."""
        return self.url.set(query={}).render_as_string(hide_password=True)

    @property
    def deployment_id(self) -> bytes:
        """The 16 bytes that name this database; a broker's message carries them.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        if self._deployment_id is None:
            with self.connect() as connection:
                self._deployment_id = bytes(
                    connection.execute(sa.select(deployment.c.id)).scalar_one()
                )
        return self._deployment_id

    @contextlib.contextmanager
    def connect(self) -> Iterator[sa.Connection]:
        """A connection for reading.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        with translated(), self.engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """A connection for reading whose statements all see the same state.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        with self.connect() as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def glance(self) -> Iterator[sa.Connection]:
        """A connection for one SELECT that the driver itself runs (see `taskwire_db.group`).

        Raises:
            StoreUnavailable: the database does not answer.
        """
        if self._glances is None:
            with self.snapshot() as connection:
                yield connection
            return
        with translated(), self._glances.one() as connection:
            yield connection

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A write transaction, committed at the end of the block and rolled back on an error.

        Raises:
            StoreUnavailable: the database does not answer, or somebody holds it for too long, or
                its file is gone. Nothing was written, unless it is OutcomeUnknown.
        """
        with self._turn(), translated(), self._begun() as (connection, commit_as):
            transaction = Transaction(self, connection)
            yield transaction
            number = transaction.finish()
            self._require_file(connection)
            commit_as(number)
        if transaction.new_options:
            self.options.note_stored(transaction.new_options, transaction.now_us)

    def execute(self, operation: Operation[Item, Result], item: Item) -> Result:
        """One item of a group operation, in a transaction of its own.

        Raises:
            StoreUnavailable: see `transaction`.
        """
        result = self.write(lambda transaction: operation(transaction, [item])[0])
        if isinstance(result, BaseException):
            raise result
        return result

    def write(self, work: Callable[[Transaction], Result]) -> Result:
        """What `work` returns, once its transaction is committed.

        It is called again, a few times, when another process's transaction was in its way.

        Raises:
            StoreUnavailable: see `transaction`.
        """
        for pause_s in _PAUSES_S:
            try:
                return self._write_once(work)
            except Contended:
                # Both would meet again if they waited equally long.
                time.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311
        return self._write_once(work)

    def _write_once(self, work: Callable[[Transaction], Result]) -> Result:
        with self.transaction() as transaction:
            return work(transaction)

    def checkpoint(self) -> None:
        """Move what SQLite's write-ahead log has into the database file.

        Only one process may call this (the keeper's); see the top of `engines.py`. The log keeps
        its size, and the next writer begins it anew: to write over it takes half as long as to
        make it longer.

        Raises:
            StoreUnavailable: somebody writes for too long.
        """
        if self.is_sqlite:
            with self._turn(), translated():
                checkpoint(self.engine, self._kept)

    def close(self) -> None:
        """Close every connection."""
        self._kept.close()
        if self._glances is not None:
            self._glances.close()
        self.engine.dispose()

    @contextlib.contextmanager
    def _begun(self) -> Iterator[tuple[sa.Connection, Callable[[str | None], None]]]:
        """A connection in a transaction, and how to commit it under its number."""
        if self.is_sqlite:
            with self._kept.begun() as connection:
                yield connection, lambda _number: commit(connection)
            return
        with self.engine.connect() as connection, connection.begin() as begun:
            yield connection, lambda number: self._commit(begun, number)

    def _commit(self, begun: sa.RootTransaction, number: str | None) -> None:
        try:
            begun.commit()
        except exc.DBAPIError as error:
            if not error.connection_invalidated or number is None:
                raise
            if not was_committed(self.engine, number):
                raise

    def _require_file(self, connection: sa.Connection) -> None:
        if is_replaced(connection, self.url):
            raise StoreUnavailable("the database's file was removed or replaced; restart taskwire")

    def _turn(self) -> contextlib.AbstractContextManager[None]:
        return self._turnstile.turn() if self._turnstile else contextlib.nullcontext()


class Transaction:
    """One write transaction: its connection, its times, what it changed, and its counts."""

    def __init__(self, database: Database, connection: sa.Connection) -> None:
        self.database = database
        self.connection = connection
        moment = database.clock.moment(connection)
        self.now_us = moment.now_us
        self.lease_us = moment.lease_us
        self.boot = moment.boot
        self.changed: list[Task | Deleted] = []
        self.entry = ChangeEntry()
        self.new_options: set[int] = set()
        self._counts: Counter[tuple[str, str, str, int]] = Counter()
        self._activity = Activity()

    def moved(self, task: Task, source: State | None) -> None:
        """Record that `task` came into its state from `source`: for doorbells, counters, the log.

        A new task (no source) rings nobody: nothing can wait for it before it is there.
        """
        if source is not None:
            self.changed.append(task)
            self._counts[task.type, task.queue, task.owner, source] -= 1
        self._counts[task.type, task.queue, task.owner, task.state] += 1
        self._activity.note(task.queue, source, task.state)
        self.entry.add(task.id, task.owner)

    def erased(self, task_id: bytes, *, type: str, queue: str, owner: str, state: State) -> None:
        """Record that a task is deleted: for doorbells, counters and the change log."""
        self.changed.append(Deleted(task_id))
        self._counts[type, queue, owner, state] -= 1
        self.entry.add(task_id, owner, deleted=True)

    def options_id(self, options: TaskOptions) -> int:
        """The id of an option set, which is stored when it is new."""
        key, body = codec.encode_options(options)
        known = self.database.options
        if key not in self.new_options and not known.is_stored(key, self.now_us):
            _insert_options.run(self.connection, [(key, body, self.now_us)])
            self.new_options.add(key)
            known.learn({key: options})
        return key

    def finish(self) -> str | None:
        """Write the log's row and the counters' deltas; called once, before the commit.

        The number by which PostgreSQL knows this transaction, if it has moved or deleted a task:
        what becomes of any other can be told by doing it again.
        """
        shard = self.database.shard
        number = self.entry.write(self.connection, now_us=self.now_us)
        # In one order, so that two transactions never wait for one another.
        rows = [(*key, shard, count) for key, count in sorted(self._counts.items()) if count]
        _add_counts.run(self.connection, rows)
        self._activity.write(self.connection, now_us=self.now_us, shard=shard)
        return number


def _add(insert: Any) -> Any:  # a dialect's Insert
    return insert.on_conflict_do_update(
        index_elements=["type", "queue", "owner", "state", "shard"],
        set_={"count": task_counters.c.count + insert.excluded.count},
    )


_add_counts = RowInsert(task_counters, conflict=_add)


def new_deployment(connection: sa.Connection, now_us: int) -> None:
    """Give a new database its name and its key; an existing one keeps its own."""
    if connection.execute(sa.select(deployment.c.id)).first() is None:
        insert = insert_for(connection.dialect, deployment)
        connection.execute(insert.values(id=new_id(), create_time=now_us))
    key = insert_for(connection.dialect, signing_keys).values(
        name=PAGE_TOKENS, key=secrets.token_bytes(KEY_BYTES), create_time=now_us
    )
    connection.execute(key.on_conflict_do_nothing())
