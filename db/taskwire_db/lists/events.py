"""A task's history, page by page."""

from __future__ import annotations

import sqlalchemy as sa

from taskwire_core.lifecycle import Event, State
from taskwire_core.listing import TaskEvent
from taskwire_db import codec
from taskwire_db.models import Id, task_events, tasks

_owned = sa.select(tasks.c.id).where(
    tasks.c.id == sa.bindparam("task", type_=Id), tasks.c.owner == sa.bindparam("owner")
)
_page = (
    sa.select(
        task_events.c.version,
        task_events.c.state,
        task_events.c.attempt,
        task_events.c.event,
        task_events.c.event_time,
        task_events.c.worker_id,
        task_events.c.actor,
        task_events.c.message,
        task_events.c.failure,
    )
    .where(
        task_events.c.task_id == sa.bindparam("task", type_=Id),
        task_events.c.version > sa.bindparam("after"),
    )
    .order_by(task_events.c.version)
)


def list_events(
    connection: sa.Connection, task_id: bytes, owner: str, after_version: int, limit: int
) -> list[TaskEvent] | None:
    """The next `limit` transitions after `after_version`; None when `owner` has no such task."""
    if connection.execute(_owned, {"task": task_id, "owner": owner}).first() is None:
        return None
    rows = connection.execute(_page.limit(limit), {"task": task_id, "after": after_version})
    return [
        TaskEvent(
            version,
            State(state),
            attempt,
            Event(event),
            time_us,
            None if worker_id is None else bytes(worker_id),
            actor or "",
            message or _message_of(failure),
        )
        for version, state, attempt, event, time_us, worker_id, actor, message, failure in rows
    ]


def _message_of(failure: str | None) -> str:
    decoded = codec.decode_failure(failure)
    return "" if decoded is None else decoded.message
