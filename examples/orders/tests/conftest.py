"""A `taskwire dev` with this project's contract and handlers, in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskwire.client import Client

PROJECT = Path(__file__).parents[1]


class Server:
    """Start it, kill it, and start it again on the same data."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.books = folder / "books.txt"
        self.templates = folder / "templates"
        self._log = folder / "server.log"
        self._settings = {
            "TASKWIRE_LISTEN": self.address,
            "TASKWIRE_DATA_DIR": str(folder / "data"),
            "TASKWIRE_CONTRACTS": str(PROJECT / "build" / "orders.binpb"),
            "TASKWIRE_HANDLERS": "acme_orders.handlers",
            "ORDERS_BOOKS": str(self.books),
            "ORDERS_TEMPLATES": str(self.templates),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and return when it answers."""
        command = [str(Path(sys.executable).with_name("taskwire")), "dev"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, env={**os.environ, **self._settings}, stdout=log, stderr=log
            )
        deadline = time.monotonic() + 60
        with Client(self.address) as client:
            while not client.is_reachable():
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(self._log.read_text())
                time.sleep(0.05)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.kill()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.address) as connected:
        yield connected
