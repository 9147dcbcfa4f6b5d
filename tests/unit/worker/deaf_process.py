"""A child that says that it lives, and then neither reads its pipe nor ends."""

from __future__ import annotations

import signal

from taskwire_worker.spawn import adopt


def run_child(descriptor: int, parent: int) -> None:
    """The process's main."""
    pipe = adopt(descriptor, parent)
    pipe.send("adopted")
    while True:
        signal.pause()
