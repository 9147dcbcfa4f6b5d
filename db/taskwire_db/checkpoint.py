"""SQLite's checkpoint: what its write-ahead log has is moved into the database file."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from taskwire_db.engines import KEPT_LOG_BYTES
from taskwire_db.kept_connection import KeptConnection, commit

PATIENCE_MS = 100
"""How long writers wait for the readers of a large log."""


def checkpoint(engine: sa.Engine, kept: KeptConnection) -> None:
    """Move the log, and see to it that the next writer can begin it anew; in a writer's turn.

    What readers still need stays for the next time.
    """
    with engine.connect() as connection:
        # In SQLite's lock as well: who migrates, or writes in a shell, takes no turn, and who
        # begins the log anew at this very moment would have parts of it never moved.
        with kept.begun() as writing:
            _run(connection, "wal_checkpoint(PASSIVE)")
            commit(writing)
        if _is_large(engine.url.database):
            # While somebody reads at every moment no writer finds the log unread: the readers
            # of now are waited for, and those that come meanwhile read the file alone.
            before = _run(connection, "busy_timeout")
            _run(connection, f"busy_timeout={PATIENCE_MS}")
            _run(connection, "wal_checkpoint(RESTART)")
            _run(connection, f"busy_timeout={before}")


def _is_large(path: str | None) -> bool:
    log = Path(f"{path}-wal")
    return log.exists() and log.stat().st_size > KEPT_LOG_BYTES


def _run(connection: sa.Connection, pragma: str) -> int:
    """Run it as it is, not in a transaction; the first number that it answers with."""
    raw = connection.connection.dbapi_connection
    assert raw is not None
    return int(raw.execute(f"PRAGMA {pragma}").fetchone()[0])
