"""What the processes of a service use, as Linux tells it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tests.chaos.remains import Moment, Process
from tests.support.processes import descendants

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def usage(name: str, pid: int, moment: Moment) -> list[Process]:
    """What a service's main process uses, and what its children of each kind do."""
    found = {name: _used(name, pid, moment)}
    for child, line in descendants(pid).items():
        kind = f"{name}: {line.split()[-1]}"
        # It may have ended meanwhile.
        with contextlib.suppress(OSError):
            used = _used(kind, child, moment)
            found[kind] = _most(found[kind], used) if kind in found else used
    return list(found.values())


def _used(name: str, pid: int, moment: Moment) -> Process:
    folder = Path(f"/proc/{pid}")
    files = list(_open_files(folder))
    return Process(
        name,
        moment,
        pid,
        fds=len(files),
        threads=len(list((folder / "task").iterdir())),
        connections=sum(file.startswith("socket:") for file in files),
        rss_bytes=int((folder / "statm").read_text().split()[1]) * _PAGE_BYTES,
    )


def _open_files(folder: Path) -> Iterator[str]:
    for link in (folder / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            yield str(link.readlink())


def _most(one: Process, other: Process) -> Process:
    return msgspec.structs.replace(
        one,
        fds=max(one.fds, other.fds),
        threads=max(one.threads, other.threads),
        connections=max(one.connections, other.connections),
        rss_bytes=max(one.rss_bytes, other.rss_bytes),
    )
