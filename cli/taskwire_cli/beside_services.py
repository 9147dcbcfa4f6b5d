"""`taskwire dev` where RabbitMQ and Redis are configured: a gateway and a worker, as children.

They are the real services, each in a process of its own; this one only starts them, hands
signals on, and ends when one of them has.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import FrameType

import taskwire
from taskwire_cli.database import database_url
from taskwire_core.settings import Settings
from taskwire_db import schema
from taskwire_db.database import Database
from taskwire_worker.workplace import EXAMPLE_HANDLERS

_KILL_AFTER_S = 15.0


def run(settings: Settings) -> int:
    """Upgrade the database, run a gateway and a worker until a signal; the exit code.

    Raises:
        ConfigurationError: the database cannot be used.
    """
    settings = completed(settings)
    _upgrade(settings.database_url)
    pair = _Pair(_environment(settings), settings.drain_grace.total_seconds() + _KILL_AFTER_S)
    return pair.run()


def completed(settings: Settings) -> Settings:
    """With the database and the examples that embedded mode would have taken."""
    settings = replace(settings, database_url=database_url(settings))
    if settings.contracts or settings.handlers:
        return settings
    examples = Path(taskwire.__file__).parent / "_contracts" / "examples.binpb"
    return replace(settings, contracts=(str(examples),), handlers=EXAMPLE_HANDLERS)


def _upgrade(url: str) -> None:
    database = Database(url)
    try:
        schema.upgrade(database)
    finally:
        database.close()


def _environment(settings: Settings) -> Mapping[str, str]:
    return {
        **os.environ,
        "TASKWIRE_DATABASE_URL": settings.database_url,
        "TASKWIRE_CONTRACTS": ",".join(settings.contracts),
        "TASKWIRE_HANDLERS": ",".join(settings.handlers),
    }


class _Pair:
    def __init__(self, environment: Mapping[str, str], kill_after_s: float) -> None:
        self._environment = environment
        self._kill_after_s = kill_after_s
        self._children: list[subprocess.Popen[bytes]] = []
        self._one_ended = threading.Event()

    def run(self) -> int:
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self._hand_on)
        # Threads wait for the children, so that the main thread is free for signals.
        for service in ("gateway", "worker"):
            self._children.append(self._start(service))
            threading.Thread(target=self._wait, args=(self._children[-1],), daemon=True).start()
        self._one_ended.wait()
        self._hand_on(signal.SIGTERM, None)
        return max(self._code(child) for child in self._children)

    def _start(self, service: str) -> subprocess.Popen[bytes]:
        # Ctrl-C reaches a whole process group; a group of its own gets each signal once.
        command = [sys.executable, "-m", "taskwire_cli", service]
        return subprocess.Popen(command, env=self._environment, process_group=0)

    def _wait(self, child: subprocess.Popen[bytes]) -> None:
        child.wait()
        self._one_ended.set()

    def _hand_on(self, signum: int, frame: FrameType | None) -> None:
        for child in self._children:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)

    def _code(self, child: subprocess.Popen[bytes]) -> int:
        try:
            return abs(child.wait(self._kill_after_s))
        except subprocess.TimeoutExpired:
            child.kill()
            return abs(child.wait())
