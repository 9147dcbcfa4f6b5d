"""A tiny stand-in for the gateway: submits, publishes what is due, cancels, and reads back.

Everything else is real: the store on SQLite, the broker, the worker.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from google.protobuf.message import Message

from taskwire_core.ids import new_id
from taskwire_core.lifecycle import State
from taskwire_core.options import RetryPolicy, TaskOptions
from taskwire_core.task import Deleted, Dispatch, NewTask, Payload, Task, View
from taskwire_db import operations as ops
from taskwire_db import schema
from taskwire_db.database import Database
from taskwire_db.feed.embedded import EmbeddedAnnouncer, EmbeddedBus
from taskwire_db.reader import Reader
from taskwire_db.writer import Writer
from tests.support.eventually import eventually

FAST_RETRY = RetryPolicy(
    max_attempts=5, initial_backoff=timedelta(milliseconds=20), jitter=0, backoff_multiplier=1
)
ATTEMPT_TIMEOUT = timedelta(minutes=1)

Publish = Callable[[Dispatch], None]


class Town:
    """A database with a keeper; `publish` is where messages go."""

    def __init__(self, folder: Path, publish: Publish) -> None:
        self.url = f"sqlite:///{folder / 'taskwire.db'}"
        self.database = Database(self.url)
        schema.upgrade(self.database)
        self.reader = Reader(self.url)
        self.bus = EmbeddedBus()
        self.publish = publish
        self._announcer = EmbeddedAnnouncer(self.bus)
        self.writer = Writer(self.database, announce=self._announce)
        self._ended = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)
        self._keeper.start()

    def close(self) -> None:
        """Ends the keeper and closes the database."""
        self._ended.set()
        self._keeper.join()
        self.writer.close()
        self.reader.close()
        self.database.close()

    def submit(
        self,
        type: str,
        request: Message,
        *,
        queue: str,
        retry: RetryPolicy = FAST_RETRY,
        attempt_timeout: timedelta = ATTEMPT_TIMEOUT,
        at_most_once: bool = False,
    ) -> bytes:
        """Records a task and publishes it; its id."""
        now = time.time_ns() // 1000
        new = NewTask(
            id=new_id(),
            type=type,
            owner="somebody",
            input=Payload(request.DESCRIPTOR.full_name, request.SerializeToString()),
            options=TaskOptions(
                queue=queue,
                retry=retry,
                attempt_timeout=attempt_timeout,
                at_most_once=at_most_once,
            ),
            create_time_us=now,
            schedule_time_us=now,
        )
        self.writer.run(ops.submit, ops.SubmitUnit((ops.Submission(new),))).result()
        return new.id

    def cancel(self, task_id: bytes) -> None:
        """Asks for the end of a task."""
        request = ops.CancelRequest(task_id, owner=None, reason="", actor="a test")
        self.writer.run(ops.cancel, request).result()

    def task(self, task_id: bytes) -> Task:
        """The task as it is now, all of it."""
        return self.reader.get([task_id], View.FULL)[task_id]

    def ended(self, task_id: bytes, *, within: float = 15.0) -> Task:
        """The task, once it has ended."""
        eventually(
            lambda: self.task(task_id).state.terminal, within=within, what="the task has ended"
        )
        return self.task(task_id)

    def in_state(self, task_id: bytes, state: State, *, within: float = 15.0) -> Task:
        """The task, once it is in `state`."""
        eventually(lambda: self.task(task_id).state is state, within=within, what=f"{state.name}")
        return self.task(task_id)

    def _announce(self, changes: Sequence[Task | Deleted]) -> None:
        self._announcer.announce(changes)
        for task in changes:
            if isinstance(task, Task) and task.state is State.QUEUED:
                self.publish(Dispatch(task.id, task.type, task.queue, task.dispatch))

    def _keep(self) -> None:
        published: dict[bytes, int] = {}
        while not self._ended.wait(0.03):
            self.writer.run(ops.sweep_due, ops.Sweep()).result()
            self.writer.run(ops.sweep_lost, ops.Sweep()).result()
            self._republish(published)

    def _republish(self, published: dict[bytes, int]) -> None:
        # Rows that another process made QUEUED are not announced here.
        with self.database.connect() as connection:
            rows = connection.exec_driver_sql(
                "select id, type, queue, dispatch from tasks where state = 2"
            ).all()
        for task_id, type_name, queue, dispatch in rows:
            if published.get(bytes(task_id)) != dispatch:
                published[bytes(task_id)] = dispatch
                self.publish(Dispatch(bytes(task_id), type_name, queue, dispatch))
