"""F17 and F18: what SQL has on the disk, when the disk is full and when its writers are killed."""

from __future__ import annotations

import resource
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from tests.chaos.cluster import Shape
from tests.chaos.context import Chaos
from tests.chaos.rows.f16_sql import file_of, refused
from tests.chaos.rows.registry import row
from tests.support.eventually import eventually
from tests.support.processes import send

FULL_S = 8.0

_MIB = 1 << 20
_BLOCK = 8192


@row(
    "F17",
    "The disk of SQL is full",
    needs_s=60,
    shape=Shape(workers=2),
    breaks=["postgresql"],
)
def disk_full(chaos: Chaos) -> None:
    """A disk cannot be filled without root, but what a process may write can be limited.

    SQLite's write-ahead log is made to grow, by a reader that keeps it from being emptied, until
    it is by far the largest file; then it may grow no further, and nothing can be committed.
    PostgreSQL may not write into its log any more, which ends it as a full disk does. What a full
    disk of its tables alone does is not shown: that is ENOSPC, and a limit is another error.
    """
    chaos.load.more(20)
    if chaos.cluster.shape.store == "sqlite":
        sqlite_full(chaos)
    else:
        postgresql_full(chaos)
    chaos.load.more(20)


def sqlite_full(chaos: Chaos) -> None:
    log = Path(f"{file_of(chaos)}-wal")
    with closing(sqlite3.connect(file_of(chaos), isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM tasks").fetchone()
        size = eventually(lambda: largest(chaos, log), within=120, what="the log is the largest")
        with chaos.fault("full", "sqlite"):
            limit(everybody(chaos), size)
            eventually(lambda: refused(chaos), within=30, what="nothing can be written")
            chaos.stay(FULL_S)
            assert refused(chaos)
            limit(everybody(chaos), None)
        reader.execute("ROLLBACK")
    assert "disk I/O error" in chaos.cluster.logs()


def postgresql_full(chaos: Chaos) -> None:
    postgres = chaos.servers.postgres
    with chaos.fault("full", "postgresql"):
        postgres.limit_files(_BLOCK)
        eventually(lambda: refused(chaos), within=30, what="nothing can be written")
        chaos.stay(FULL_S)
        assert refused(chaos)
        postgres.crash()
        postgres.start()
    assert "PANIC" in postgres.log.read_text()


def largest(chaos: Chaos, log: Path) -> int:
    """The size of SQLite's log, once everything else that grows is much smaller; 0 before."""
    others = [chaos.cluster.history, *map(chaos.cluster.log_file, chaos.cluster.processes)]
    size = log.stat().st_size
    return size if size > 2 * _MIB + 2 * max(each.stat().st_size for each in others) else 0


def everybody(chaos: Chaos) -> list[int]:
    """All processes of the cluster."""
    cluster = chaos.cluster
    return [pid for name in cluster.processes for pid in cluster.pids(name, "all")]


def limit(pids: Iterable[int], size: int | None) -> None:
    """From now on these, and what they start, can write no file beyond `size`; None: they can."""
    for pid in pids:
        _soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))


@row(
    "F18",
    "All writers of SQLite are killed at once, again and again",
    needs_s=60,
    shape=Shape(workers=2),
    stores=["sqlite"],
)
def writers_killed(chaos: Chaos) -> None:
    for _ in range(4):
        chaos.load.more(chaos.chance.randint(5, 40))
        with chaos.fault("killed at once", "sqlite"):
            for pid in everybody(chaos):
                send(pid, "KILL")
            for name, process in chaos.cluster.processes.items():
                process.wait(10)
                assert not chaos.cluster.alive(name)
            assert damage(file_of(chaos)) == ["ok"]
            for name in chaos.cluster.shape.names:
                chaos.cluster.start(name, wait=False)
            for name in chaos.cluster.shape.names:
                chaos.cluster.wait_until_up(name)


def damage(file: Path) -> list[str]:
    """What SQLite finds wrong with its file, as the killed have left it; "ok" for nothing.

    A copy is asked: whoever opens the file itself mends what the processes must mend.
    """
    with tempfile.TemporaryDirectory() as folder:
        for ending in ("", "-wal"):
            shutil.copy(f"{file}{ending}", folder)
        with closing(sqlite3.connect(Path(folder) / file.name)) as connection:
            found = connection.execute("PRAGMA integrity_check").fetchall()
            found += connection.execute("PRAGMA foreign_key_check").fetchall()
    return [str(first) for first, *_ in found]
