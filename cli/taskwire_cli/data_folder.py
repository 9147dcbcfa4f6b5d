"""The data folder of `taskwire dev`: one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from taskwire_core.errors import ConfigurationError

_LOCK = "dev.lock"


def made(folder: Path) -> Path:
    """The absolute path of `folder`, which is made if it is missing.

    Raises:
        ConfigurationError: it cannot be made.
    """
    folder = folder.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(folder, error) from None
    return folder


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[Path]:
    """The folder, made if need be, and this process's alone inside the block.

    The kernel gives the lock back when the process ends, however it does.

    Raises:
        ConfigurationError: another process has it, or it cannot be written.
    """
    folder = made(folder)
    try:
        file = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(folder, error) from None
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"the data folder {folder} is in use by another taskwire ({_holder(file)});"
                " stop that one, or set TASKWIRE_DATA_DIR to another folder"
            ) from None
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        yield folder
    finally:
        os.close(file)


def _holder(file: int) -> str:
    pid = os.pread(file, 20, 0).decode(errors="replace").strip()
    return f"process {pid}" if pid.isdigit() else "process unknown"


def _unusable(folder: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"the data folder {folder} cannot be used: {error.strerror};"
        " set TASKWIRE_DATA_DIR to another one"
    )
