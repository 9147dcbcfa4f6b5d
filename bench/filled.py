"""Databases that hold many ended tasks already: each is filled once, and copied.

Filling one with a million tasks takes minutes, so it is kept in `.cache/bench` for as long as the
code that has filled it is the same.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.many_tasks import STATES, insert_many
from taskwire_db import schema
from taskwire_db.database import Database

ENDED = {state: share for state, share in STATES.items() if state.terminal}
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
    database = Database(f"sqlite:///{path}")
    try:
        schema.upgrade(database)
        insert_many(database, rows, ENDED)
    finally:
        database.close()


def _made_by() -> str:
    """A digest of all code that has a say in what such a database holds."""
    sources = [Path(__file__).with_name("many_tasks.py"), *sorted(_ROOT.glob("db/**/*.py"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
