"""What became of a transaction whose COMMIT was not answered: PostgreSQL is asked.

The server may have committed and lost its connection before it could say so. Whoever takes
that for a failure runs a claimed task nowhere, or tells a caller that a task was not taken.
"""

from __future__ import annotations

import time

import sqlalchemy as sa
from sqlalchemy import exc

from taskwire_core.errors import OutcomeUnknown

PATIENCE_S = 5.0
_PAUSE_S = 0.1
_NEVER_HEARD_OF_IT = "22023"
"""How a server answers that was made the primary without this transaction."""

_STATUS = sa.text("SELECT pg_xact_status(CAST(:number AS xid8))")


def was_committed(engine: sa.Engine, number: str) -> bool:
    """Whether the transaction with this number was committed, once the server says so.

    Raises:
        OutcomeUnknown: it did not say so within PATIENCE_S.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        status = _status(engine, number)
        if status in ("committed", "aborted"):
            return status == "committed"
        if time.monotonic() > deadline:
            raise OutcomeUnknown("the connection to the database was lost in a commit")
        time.sleep(_PAUSE_S)


def _status(engine: sa.Engine, number: str) -> str | None:
    """None when the server is away, or still busy with the transaction."""
    try:
        with engine.connect() as connection:
            found: str | None = connection.execute(_STATUS, {"number": number}).scalar_one()
            return found
    except exc.DBAPIError as error:
        return "aborted" if getattr(error.orig, "sqlstate", None) == _NEVER_HEARD_OF_IT else None
    except exc.TimeoutError:
        return None
