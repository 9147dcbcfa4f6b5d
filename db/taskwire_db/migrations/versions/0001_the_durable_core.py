"""The durable core: tasks, their payloads, history and counters, and who is alive.

Revision: 0001
Follows: None
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


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


def upgrade() -> None:
    op.create_table(
        "deployment",
        sa.Column("id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "gateways",
        sa.Column("id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("boot", sa.Text(), nullable=False),
        sa.Column("lease_expires", sa.BigInteger(), nullable=False),
        sa.Column("start_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "leaders",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder", sa.LargeBinary(length=16), nullable=False),
        sa.Column("boot", sa.Text(), nullable=False),
        sa.Column("lease_expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "option_sets",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "task_counters",
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("state", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("shard", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("type", "queue", "owner", "state", "shard"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "task_events",
        sa.Column("task_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("event_time", sa.BigInteger(), nullable=False),
        sa.Column("worker_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("task_id", "version"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "task_inputs",
        sa.Column("task_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("type_name", sa.Text(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("task_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "task_labels",
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("task_id", sa.LargeBinary(length=16), nullable=False),
        sa.PrimaryKeyConstraint("label", "value", "task_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "task_outcomes",
        sa.Column("task_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("type_name", sa.Text(), nullable=True),
        sa.Column("data", sa.LargeBinary(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("task_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "task_progress",
        sa.Column("task_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("fraction", sa.Double(), nullable=False),
        sa.Column("completed_units", sa.BigInteger(), nullable=False),
        sa.Column("total_units", sa.BigInteger(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("update_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("task_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "task_requests",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("task_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("owner", "request_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tasks",
        sa.Column("id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("handed_back", sa.Integer(), nullable=False),
        sa.Column("crashes", sa.SmallInteger(), nullable=False),
        sa.Column("solo", sa.SmallInteger(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("options_id", sa.BigInteger(), nullable=False),
        sa.Column("attempt_timeout", sa.BigInteger(), nullable=False),
        sa.Column("result_ttl", sa.BigInteger(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("schedule_time", sa.BigInteger(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("update_time", sa.BigInteger(), nullable=False),
        sa.Column("start_time", sa.BigInteger(), nullable=True),
        sa.Column("end_time", sa.BigInteger(), nullable=True),
        sa.Column("delete_time", sa.BigInteger(), nullable=True),
        sa.Column("start_deadline", sa.BigInteger(), nullable=True),
        sa.Column("total_deadline", sa.BigInteger(), nullable=True),
        sa.Column("run_deadline", sa.BigInteger(), nullable=True),
        sa.Column("run_expires", sa.BigInteger(), nullable=True),
        sa.Column("worker_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("dispatch", sa.Integer(), nullable=False),
        sa.Column("dispatched_at", sa.BigInteger(), nullable=True),
        sa.Column("gateway_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("cancel_requested", sa.SmallInteger(), nullable=False),
        sa.Column("cancel_reason", sa.Text(), nullable=True),
        sa.Column("retry_of", sa.LargeBinary(length=16), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("labels", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("tasks", schema=None) as batch_op:
        batch_op.create_index(
            "ix_tasks_dispatched",
            ["queue", "dispatched_at"],
            unique=False,
            sqlite_where=sa.text("state = 2 AND dispatched_at IS NOT NULL"),
            postgresql_where=sa.text("state = 2 AND dispatched_at IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_tasks_due",
            ["not_before"],
            unique=False,
            sqlite_where=sa.text("state IN (1, 4)"),
            postgresql_where=sa.text("state IN (1, 4)"),
        )
        batch_op.create_index(
            "ix_tasks_held",
            ["worker_id", "run_expires"],
            unique=False,
            sqlite_where=sa.text("state IN (3, 5)"),
            postgresql_where=sa.text("state IN (3, 5)"),
        )
        batch_op.create_index(
            "ix_tasks_start_deadline",
            ["start_deadline"],
            unique=False,
            sqlite_where=sa.text("state IN (1, 2, 4) AND start_deadline IS NOT NULL"),
            postgresql_where=sa.text("state IN (1, 2, 4) AND start_deadline IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_tasks_total_deadline",
            ["total_deadline"],
            unique=False,
            sqlite_where=sa.text("state IN (1, 2, 4) AND total_deadline IS NOT NULL"),
            postgresql_where=sa.text("state IN (1, 2, 4) AND total_deadline IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_tasks_undispatched",
            ["gateway_id", "queue", "priority", "id"],
            unique=False,
            sqlite_where=sa.text("state = 2 AND dispatched_at IS NULL"),
            postgresql_where=sa.text("state = 2 AND dispatched_at IS NULL"),
        )

    op.create_table(
        "workers",
        sa.Column("id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("boot", sa.Text(), nullable=False),
        sa.Column("lease_expires", sa.BigInteger(), nullable=False),
        sa.Column("start_time", sa.BigInteger(), nullable=False),
        sa.Column("draining", sa.SmallInteger(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("held", sa.Integer(), nullable=False),
        sa.Column("types", sa.Text(), nullable=False),
        sa.Column("queues", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )

    if op.get_bind().dialect.name == "sqlite":
        op.execute(GUARD_SQLITE)
    else:
        op.execute(GUARD_POSTGRESQL_FUNCTION)
        op.execute(GUARD_POSTGRESQL)


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER tasks_state_guard")
    else:
        op.execute("DROP TRIGGER tasks_state_guard ON tasks")
        op.execute("DROP FUNCTION tasks_state_guard")
    op.drop_table("workers")
    with op.batch_alter_table("tasks", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_tasks_undispatched",
            sqlite_where=sa.text("state = 2 AND dispatched_at IS NULL"),
            postgresql_where=sa.text("state = 2 AND dispatched_at IS NULL"),
        )
        batch_op.drop_index(
            "ix_tasks_total_deadline",
            sqlite_where=sa.text("state IN (1, 2, 4) AND total_deadline IS NOT NULL"),
            postgresql_where=sa.text("state IN (1, 2, 4) AND total_deadline IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_tasks_start_deadline",
            sqlite_where=sa.text("state IN (1, 2, 4) AND start_deadline IS NOT NULL"),
            postgresql_where=sa.text("state IN (1, 2, 4) AND start_deadline IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_tasks_held",
            sqlite_where=sa.text("state IN (3, 5)"),
            postgresql_where=sa.text("state IN (3, 5)"),
        )
        batch_op.drop_index(
            "ix_tasks_due",
            sqlite_where=sa.text("state IN (1, 4)"),
            postgresql_where=sa.text("state IN (1, 4)"),
        )
        batch_op.drop_index(
            "ix_tasks_dispatched",
            sqlite_where=sa.text("state = 2 AND dispatched_at IS NOT NULL"),
            postgresql_where=sa.text("state = 2 AND dispatched_at IS NOT NULL"),
        )

    op.drop_table("tasks")
    op.drop_table("task_requests")
    op.drop_table("task_progress")
    op.drop_table("task_outcomes")
    op.drop_table("task_labels")
    op.drop_table("task_inputs")
    op.drop_table("task_events")
    op.drop_table("task_counters")
    op.drop_table("option_sets")
    op.drop_table("leaders")
    op.drop_table("gateways")
    op.drop_table("deployment")
