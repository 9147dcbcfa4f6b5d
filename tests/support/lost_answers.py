"""Commits whose answer is lost: the connection breaks after them, or instead of them."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from taskwire_db.database import Database


def lose_the_answer(
    database: Database, monkeypatch: pytest.MonkeyPatch, *, committed: bool
) -> None:
    """The next COMMIT is done, or it is not; either way the connection breaks before it says so."""
    dialect = database.engine.dialect
    as_ever = dialect.do_commit

    def commit_and_break(connection: Any) -> None:
        monkeypatch.setattr(dialect, "do_commit", as_ever)
        if committed:
            connection.commit()
        connection.dbapi_connection.close()
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(dialect, "do_commit", commit_and_break)
