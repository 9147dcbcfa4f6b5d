"""Databases that hold many ended tasks already; each is filled once in a run, and copied."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.many_tasks import STATES, insert_many
from taskwire_db import schema
from taskwire_db.database import Database

ENDED = {state: share for state, share in STATES.items() if state.terminal}


def filled(rows: int) -> Callable[[Path], None]:
    """Puts a database of so many tasks at a path, where there may be an empty one."""

    def fill(path: Path) -> None:
        for old in path.parent.glob(f"{path.name}*"):
            old.unlink()
        shutil.copyfile(_template(rows), path)
        # What the system writes later it would write while the round is timed.
        with path.open("rb") as file:
            os.fsync(file)

    return fill


@functools.cache
def _template(rows: int) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="taskwire-filled-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    database = Database(f"sqlite:///{folder / 'taskwire.db'}")
    try:
        schema.upgrade(database)
        insert_many(database, rows, ENDED)
    finally:
        database.close()
    return folder / "taskwire.db"
