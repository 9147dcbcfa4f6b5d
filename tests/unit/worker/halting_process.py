"""A worker process that stops in the middle of a message."""

from __future__ import annotations

import os
import signal

from taskwire_worker.control import Loaded
from taskwire_worker.spawn import adopt


def run_child(descriptor: int, parent: int) -> None:
    """The process's main."""
    supervisor = adopt(descriptor, parent)
    supervisor.recv()
    supervisor.send(Loaded(types=(), queues=(), slots=1))
    os.write(descriptor, b"\0")
    while True:
        signal.pause()
