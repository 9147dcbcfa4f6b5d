"""Databases that hold many ended tasks already: each is filled once, and copied.

Filling one with a million tasks takes minutes, so it is kept in `.cache/bench` for as long as the
code that has filled it is the same. More than a million are copies of these.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.many_tasks import GAP_US, STATES, insert_many
from taskwire_db import schema
from taskwire_db.database import Database

ENDED = {state: share for state, share in STATES.items() if state.terminal}
MILLION = 1_000_000
_TASK_IDS = {
    "tasks": "id",
    "task_inputs": "task_id",
    "task_outcomes": "task_id",
    "task_labels": "task_id",
    "task_events": "task_id",
}
_ROOT = Path(__file__).parents[1]
_PLACE = _ROOT / ".cache" / "bench"


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


def _template(rows: int) -> Path:
    found = _PLACE / f"filled-{rows}-{_made_by()}.db"
    if not found.exists():
        _PLACE.mkdir(parents=True, exist_ok=True)
        for old in _PLACE.glob(f"filled-{rows}-*"):
            old.unlink()
        with tempfile.TemporaryDirectory(dir=_PLACE) as folder:
            half = Path(folder, "taskwire.db")
            _fill(half, rows)
            half.rename(found)
    return found


def _fill(path: Path, rows: int) -> None:
    if rows > MILLION:
        _fill_with_copies(path, rows)
        return
    database = Database(f"sqlite:///{path}")
    try:
        schema.upgrade(database)
        insert_many(database, rows, ENDED)
    finally:
        database.close()


def _fill_with_copies(path: Path, rows: int) -> None:
    """A million tasks and copies of them, whose ids are of the time until the next task.

    A year of tasks is as many times denser then, and still of the past: new ids come behind.
    """
    times, rest = divmod(rows, MILLION)
    if rest:
        raise ValueError(f"{rows} is more than a million, and not a number of millions")
    source = _template(MILLION)
    shutil.copyfile(source, path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.create_function("later", 2, _later, deterministic=True)
        # A file that was not finished is not used, so nothing has to be undone.
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -400000"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("ATTACH ? AS source", (str(source),))
        connection.execute("BEGIN")
        for table, key in _TASK_IDS.items():
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            found = ", ".join(f"later({key}, ?)" if name == key else name for name in columns)
            for copy in range(1, times):
                connection.execute(
                    f"INSERT INTO main.{table} SELECT {found} FROM source.{table}",
                    (GAP_US // 1_000 * copy // times,),
                )
        connection.execute("UPDATE main.task_counters SET count = count * ?", (times,))
        connection.execute("COMMIT")


def _later(task_id: bytes, by_ms: int) -> bytes:
    return (int.from_bytes(task_id[:6]) + by_ms).to_bytes(6) + task_id[6:]


def _made_by() -> str:
    """A digest of all code that has a say in what such a database holds."""
    sources = [Path(__file__).with_name("many_tasks.py"), *sorted(_ROOT.glob("db/**/*.py"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
