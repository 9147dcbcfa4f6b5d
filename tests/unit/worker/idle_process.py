"""A worker process that takes no work; it ends when it is told to, or is alone."""

from __future__ import annotations

import contextlib

from taskwire_worker.control import Drain, Loaded
from taskwire_worker.spawn import adopt


def run_child(descriptor: int, parent: int) -> None:
    """The process's main."""
    supervisor = adopt(descriptor, parent)
    supervisor.recv()
    supervisor.send(Loaded(types=(), queues=(), slots=1))
    with contextlib.suppress(EOFError, OSError):
        while not isinstance(supervisor.recv(), Drain):
            pass
