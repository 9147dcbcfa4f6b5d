"""SIGTERM and SIGINT: the first asks for an orderly end, the second for one now."""

from __future__ import annotations

import asyncio
import signal


class Stop:
    """Set by signals once `listen` was called on the running loop."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.hurried = asyncio.Event()

    def listen(self) -> None:
        """Take both signals from now on."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.ask)

    def ask(self) -> None:
        """What a signal does."""
        if self.asked.is_set():
            self.hurried.set()
        self.asked.set()
