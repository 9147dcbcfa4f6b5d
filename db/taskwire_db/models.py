"""The tables: what taskwire remembers, on SQLite and PostgreSQL alike.

Rules of this file:
- Task rows are narrow: payloads, outcomes and options live in tables of their own, so that
  scans stay cheap. Ids are UUIDv7, so inserts land at the end of every tree.
- Indexes are partial, on live rows only, but for those of the lists and of retention: they stay
  small however many tasks have ended. Their conditions use literals, because SQLite matches a
  partial index only against literals.
- Times are microseconds since 1970. A lease's time belongs to the clock of `clock.py`.
- A trigger refuses a state change that leaves a terminal state or skips a version, whoever
  writes it.
"""

from __future__ import annotations

import sqlalchemy as sa

from taskwire_core.lifecycle import State

metadata = sa.MetaData()

Id = sa.LargeBinary(16)
Micros = sa.BigInteger()


def is_state(column: sa.ColumnElement[int], *states: State) -> sa.ColumnElement[bool]:
    """`column` is one of `states`, as literals (see the top of this file)."""
    literals: list[sa.ColumnClause[int]] = [
        sa.literal_column(str(int(state))) for state in sorted(states)
    ]
    return column == literals[0] if len(literals) == 1 else column.in_(literals)


deployment = sa.Table(
    "deployment",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("create_time", Micros, nullable=False),
    # Up to which number the change log was pruned.
    sa.Column("pruned_number", sa.BigInteger, nullable=False, server_default="0"),
)

# What the gateways sign page tokens with: one row, and whoever has it can forge them.
signing_keys = sa.Table(
    "signing_keys",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("key", sa.LargeBinary(32), nullable=False),
    sa.Column("create_time", Micros, nullable=False),
    sqlite_with_rowid=False,
)

option_sets = sa.Table(
    "option_sets",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("body", sa.Text, nullable=False),
    # When a task was last submitted with it, give or take some minutes.
    sa.Column("used_time", Micros, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)

tasks = sa.Table(
    "tasks",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("queue", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("state", sa.SmallInteger, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("handed_back", sa.Integer, nullable=False),
    sa.Column("crashes", sa.SmallInteger, nullable=False),
    sa.Column("solo", sa.SmallInteger, nullable=False),
    sa.Column("priority", sa.SmallInteger, nullable=False),
    sa.Column("options_id", sa.BigInteger, nullable=False),
    sa.Column("attempt_timeout", Micros, nullable=False),
    sa.Column("result_ttl", Micros, nullable=False),
    sa.Column("create_time", Micros, nullable=False),
    sa.Column("schedule_time", Micros, nullable=False),
    sa.Column("not_before", Micros, nullable=False),
    sa.Column("update_time", Micros, nullable=False),
    sa.Column("start_time", Micros),
    sa.Column("end_time", Micros),
    sa.Column("delete_time", Micros),
    sa.Column("start_deadline", Micros),
    sa.Column("total_deadline", Micros),
    sa.Column("run_deadline", Micros),
    # The same moment on the clock of leases, which no time step moves: what the sweep asks.
    sa.Column("run_expires", Micros),
    sa.Column("worker_id", Id),
    sa.Column("dispatch", sa.Integer, nullable=False),
    sa.Column("dispatched_at", Micros),
    sa.Column("gateway_id", Id),
    sa.Column("cancel_requested", sa.SmallInteger, nullable=False),
    sa.Column("cancel_reason", sa.Text),
    sa.Column("retry_of", Id),
    sa.Column("request_id", sa.Text),
    sa.Column("labels", sa.Text),
    # The task whose handler or end submitted it, how many stand above it, how many follow it.
    sa.Column("parent", Id),
    sa.Column("generation", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Column("follow_up_count", sa.SmallInteger, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)

_queued = is_state(tasks.c.state, State.QUEUED)
_waiting = is_state(tasks.c.state, State.SCHEDULED, State.QUEUED, State.RETRYING)

INDEX_CONDITIONS: dict[str, tuple[list[sa.ColumnElement[object]], sa.ColumnElement[bool]]] = {
    # What is not yet with the broker: the leader's rows, in the order in which it takes them,
    # however many there are, and each gateway's own.
    "ix_tasks_backlog": (
        [tasks.c.queue, tasks.c.priority.desc(), tasks.c.id],
        sa.and_(_queued, tasks.c.dispatched_at.is_(None), tasks.c.gateway_id.is_(None)),
    ),
    "ix_tasks_unpublished": (
        [tasks.c.gateway_id],
        sa.and_(_queued, tasks.c.dispatched_at.is_(None), tasks.c.gateway_id.is_not(None)),
    ),
    "ix_tasks_dispatched": (
        [tasks.c.queue, tasks.c.dispatched_at],
        sa.and_(_queued, tasks.c.dispatched_at.is_not(None)),
    ),
    # Since when the oldest due task of a queue has been due.
    "ix_tasks_oldest": ([tasks.c.queue, tasks.c.not_before], _queued),
    "ix_tasks_due": (
        [tasks.c.not_before],
        is_state(tasks.c.state, State.SCHEDULED, State.RETRYING),
    ),
    "ix_tasks_held": (
        [tasks.c.worker_id, tasks.c.run_expires],
        is_state(tasks.c.state, State.RUNNING, State.CANCELLING),
    ),
    "ix_tasks_start_deadline": (
        [tasks.c.start_deadline],
        sa.and_(_waiting, tasks.c.start_deadline.is_not(None)),
    ),
    "ix_tasks_total_deadline": (
        [tasks.c.total_deadline],
        sa.and_(_waiting, tasks.c.total_deadline.is_not(None)),
    ),
    # The one index on what has ended: which task retention deletes next.
    "ix_tasks_delete_time": ([tasks.c.delete_time], tasks.c.delete_time.is_not(None)),
}

for _name, (_columns, _condition) in INDEX_CONDITIONS.items():
    sa.Index(_name, *_columns, sqlite_where=_condition, postgresql_where=_condition)

# The two that hold every task, because lists are of ended tasks too. A list reads each of its
# cohorts (what one counter counts) in the order of the first, and the newest changes in the
# order of the second: see listing.py. Creation has none, since ids are in its order.
sa.Index("ix_tasks_cohort", tasks.c.owner, tasks.c.type, tasks.c.queue, tasks.c.state, tasks.c.id)
sa.Index("ix_tasks_updated", tasks.c.owner, tasks.c.update_time, tasks.c.id)

# This table and the two others with payloads have rowids on SQLite: without them a payload is
# part of the key's tree, and read by everybody who looks for a neighbour.
task_inputs = sa.Table(
    "task_inputs",
    metadata,
    sa.Column("task_id", Id, primary_key=True),
    sa.Column("type_name", sa.Text, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
)

task_outcomes = sa.Table(
    "task_outcomes",
    metadata,
    sa.Column("task_id", Id, primary_key=True),
    sa.Column("type_name", sa.Text),
    sa.Column("data", sa.LargeBinary),
    sa.Column("failure", sa.Text),
)

task_events = sa.Table(
    "task_events",
    metadata,
    sa.Column("task_id", Id, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("state", sa.SmallInteger, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("event_time", Micros, nullable=False),
    sa.Column("worker_id", Id),
    sa.Column("actor", sa.Text),
    sa.Column("message", sa.Text),
    sa.Column("failure", sa.Text),
    sqlite_with_rowid=False,
)

task_requests = sa.Table(
    "task_requests",
    metadata,
    sa.Column("owner", sa.Text, primary_key=True),
    sa.Column("request_id", sa.Text, primary_key=True),
    sa.Column("task_id", Id, nullable=False),
    sa.Column("request_hash", sa.LargeBinary(32), nullable=False),
    sqlite_with_rowid=False,
)

task_follow_ups = sa.Table(
    "task_follow_ups",
    metadata,
    sa.Column("task_id", Id, primary_key=True),
    sa.Column("position", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("condition", sa.SmallInteger, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    # All that makes the task, its own follow-ups included (codec.py).
    sa.Column("body", sa.LargeBinary, nullable=False),
    # The task that was made.
    sa.Column("made_id", Id),
)

task_labels = sa.Table(
    "task_labels",
    metadata,
    sa.Column("label", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, primary_key=True),
    sa.Column("task_id", Id, primary_key=True),
    sqlite_with_rowid=False,
)

task_progress = sa.Table(
    "task_progress",
    metadata,
    sa.Column("task_id", Id, primary_key=True),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("fraction", sa.Double, nullable=False),
    sa.Column("completed_units", sa.BigInteger, nullable=False),
    sa.Column("total_units", sa.BigInteger, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("update_time", Micros, nullable=False),
    sqlite_with_rowid=False,
)

# Which tasks changed in which transaction: what a watch of many tasks reads, kept for an hour.
task_changes = sa.Table(
    "task_changes",
    metadata,
    # An INTEGER is what SQLite counts by itself.
    sa.Column(
        "number",
        sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("change_time", Micros, nullable=False),
    # Their ids by owner, packed (see `change_entry.py`).
    sa.Column("tasks", sa.LargeBinary, nullable=False),
)

# Who asks for a task that is gone hears for an hour that it was deleted.
task_deletions = sa.Table(
    "task_deletions",
    metadata,
    sa.Column("task_id", Id, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("delete_time", Micros, nullable=False),
    sa.Index("ix_task_deletions_delete_time", "delete_time"),
    sqlite_with_rowid=False,
)

task_counters = sa.Table(
    "task_counters",
    metadata,
    sa.Column("type", sa.Text, primary_key=True),
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, primary_key=True),
    sa.Column("state", sa.SmallInteger, primary_key=True, autoincrement=False),
    # PostgreSQL's writers add to a shard each, so that they do not wait for one another.
    sa.Column("shard", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("count", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

workers = sa.Table(
    "workers",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("boot", sa.Text, nullable=False),
    sa.Column("lease_expires", Micros, nullable=False),
    sa.Column("start_time", Micros, nullable=False),
    sa.Column("draining", sa.SmallInteger, nullable=False),
    sa.Column("slots", sa.Integer, nullable=False),
    sa.Column("held", sa.Integer, nullable=False),
    sa.Column("types", sa.Text, nullable=False),
    sa.Column("queues", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

gateways = sa.Table(
    "gateways",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("boot", sa.Text, nullable=False),
    sa.Column("lease_expires", Micros, nullable=False),
    sa.Column("start_time", Micros, nullable=False),
    sqlite_with_rowid=False,
)

leaders = sa.Table(
    "leaders",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("holder", Id, nullable=False),
    sa.Column("boot", sa.Text, nullable=False),
    sa.Column("lease_expires", Micros, nullable=False),
    sqlite_with_rowid=False,
)

# Which user a CreateUser with a request id has made.
user_requests = sa.Table(
    "user_requests",
    metadata,
    sa.Column("creator", sa.Text, primary_key=True),
    sa.Column("request_id", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, nullable=False, index=True),
    sa.Column("request_hash", sa.LargeBinary(32), nullable=False),
    sqlite_with_rowid=False,
)

GUARD_SQLITE = """
CREATE TRIGGER tasks_state_guard BEFORE UPDATE OF state ON tasks
WHEN OLD.state >= 6 OR NEW.version <> OLD.version + 1
BEGIN SELECT RAISE(ABORT, 'tasks: a terminal state or a version would be broken'); END
""".strip()

GUARD_POSTGRESQL_FUNCTION = """
CREATE FUNCTION tasks_state_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'tasks: a terminal state or a version would be broken'
  USING ERRCODE = 'integrity_constraint_violation';
END $$
""".strip()

GUARD_POSTGRESQL = """
CREATE TRIGGER tasks_state_guard BEFORE UPDATE OF state ON tasks FOR EACH ROW
WHEN (OLD.state >= 6 OR NEW.version <> OLD.version + 1)
EXECUTE FUNCTION tasks_state_guard()
""".strip()

for _dialect, _ddl in (
    ("sqlite", GUARD_SQLITE),
    ("postgresql", GUARD_POSTGRESQL_FUNCTION),
    ("postgresql", GUARD_POSTGRESQL),
):
    sa.event.listen(
        tasks,
        "after_create",
        sa.DDL(_ddl).execute_if(dialect=_dialect),  # type: ignore[no-untyped-call]  # untyped there
    )
