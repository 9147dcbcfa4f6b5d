"""Alembic's entry: runs the migrations on the connection that `schema.py` hands over."""

from __future__ import annotations

from alembic import context

from taskwire_db.operator_models import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    # SQLite cannot ALTER most things: batch mode rebuilds the table instead. A migration that
    # does so must make the table's triggers and partial indexes again.
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
