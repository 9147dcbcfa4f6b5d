"""Settlements that could not be written before the process had to end, kept in a file.

One file per process, fsynced, below the data folder; the next boot replays every file it
finds. An attempt that somebody else has judged since is not changed by it: the store's
compare-and-set decides.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from taskwire_core.failpoints import ARMED, hit
from taskwire_core.recovery import Settlement

_LOG = logging.getLogger(__name__)
_SUFFIX = ".settlements"


class Spool:
    """The spool folder; it is made when it is first written to, if not before."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def prepare(self) -> None:
        """Makes the folder, so that a wrong one is known at the start and not in need.

        Raises:
            OSError: It cannot be made, or not be written to.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        if not os.access(self._folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self._folder))

    def write(self, name: str, settlements: Sequence[Settlement]) -> None:
        """Keeps `settlements` under `name`; when it returns they survive a power loss.

        Raises:
            OSError: The disk is full, or the folder cannot be written to.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        target = self._folder / f"{name}{_SUFFIX}"
        unfinished = target.with_suffix(".tmp")
        with unfinished.open("wb") as file:
            file.write(msgspec.msgpack.encode(list(settlements)))
            file.flush()
            os.fsync(file.fileno())
        if ARMED:
            hit("spool.written")
        unfinished.rename(target)
        _sync_folder(self._folder)
        if ARMED:
            hit("spool.kept")

    def replay(self, settle: Callable[[Sequence[Settlement]], None]) -> int:
        """Has `settle` write every kept settlement, and forgets what it has written.

        Answers with how many there were. What `settle` raises is passed on, and the file that
        it was about stays.
        """
        count = 0
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            settlements = _read(path)
            if ARMED:
                hit("spool.read")
            settle(settlements)
            if ARMED:
                hit("spool.replayed")
            path.unlink(missing_ok=True)
            count += len(settlements)
        return count


def _read(path: Path) -> list[Settlement]:
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=list[Settlement])
    except FileNotFoundError:
        # Another process of the same data folder was faster.
        return []
    except (msgspec.DecodeError, OSError) as error:
        # The keeper rescues these attempts when their lease ends; the file is kept to look at.
        _LOG.error("spool file unreadable", extra={"file": path.name, "problem": str(error)})
        path.rename(path.with_suffix(".unreadable"))
        return []


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
