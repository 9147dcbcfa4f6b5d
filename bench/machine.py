"""What a measurement was made on, and what it cost the processes that took part."""

from __future__ import annotations

import contextlib
import os
import platform
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(root: int) -> float:
    """CPU seconds of a process and all below it, with those of its children that have ended."""
    parents: dict[int, int] = {}
    used: dict[int, float] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # It ended meanwhile.
            parents[int(folder.name)] = int(fields[1])
            used[int(folder.name)] = sum(int(found) for found in fields[11:15]) / _TICKS
    total, below = 0.0, [root]
    while below:
        pid = below.pop()
        total += used.get(pid, 0.0)
        below += [child for child, parent in parents.items() if parent == pid]
    return total


def cpu_ns(pids: Iterable[int]) -> int:
    """Nanoseconds of CPU that the processes' threads have had, as the scheduler counts them."""
    total = 0
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):  # It ended meanwhile.
                total += int(thread.read_text().split()[0])
    return total


def family(root: int) -> list[int]:
    """A process and all below it."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def pss_mb(roots: Iterable[int]) -> float:
    """Memory of the processes and all below them, what they share counted once, in 10⁶ bytes."""
    total = 0
    for pid in {pid for root in roots for pid in family(root)}:
        with contextlib.suppress(OSError):  # It ended meanwhile.
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total * 1_024 / 1e6


def commits_per_s(rows: int = 300) -> float:
    """The disk: rows a second that SQLite (WAL, FULL) commits one by one."""
    with tempfile.TemporaryDirectory() as folder:
        connection = sqlite3.connect(Path(folder) / "probe.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, text TEXT)")
        began = time.monotonic()
        for number in range(rows):
            connection.execute("INSERT INTO rows VALUES (?, ?)", (number, "x" * 100))
        took = time.monotonic() - began
        connection.close()
    return rows / took


def environment(
    pythons: Mapping[str, Path], packages: Mapping[str, tuple[str, ...]]
) -> dict[str, object]:
    """Versions, processor, load and disk; `packages` by the name of their Python."""
    cpus = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "system": platform.platform(),
        "processor": cpus[0] if cpus else platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "sqlite_commits_per_s": round(commits_per_s()),
        "sqlite": sqlite3.sqlite_version,
        "python": platform.python_version(),
        "packages": {name: _versions(pythons[name], wanted) for name, wanted in packages.items()},
    }


def _versions(python: Path, packages: tuple[str, ...]) -> dict[str, str]:
    program = "import sys; from importlib.metadata import version\n"
    program += "print(*map(version, sys.argv[1:]))"
    done = subprocess.run(
        [str(python), "-c", program, *packages],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return dict(zip(packages, done.stdout.split(), strict=True))
