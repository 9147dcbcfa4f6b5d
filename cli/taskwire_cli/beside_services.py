"""`taskwire dev` where RabbitMQ and Redis are configured: a gateway and a worker, as children.

They are the real services, each in a process of its own; this one only starts them, hands
signals on, and ends when one of them has.
"""

from __future__ import annotations

import ctypes
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
from taskwire.client import Client
from taskwire_cli.connection import reachable_form
from taskwire_cli.greeting import greeting
from taskwire_core.settings import Settings
from taskwire_db import schema
from taskwire_db.database import Database
from taskwire_db.place import database_url
from taskwire_worker.workplace import EXAMPLE_HANDLERS

_KILL_AFTER_S = 15.0
_ASK_AGAIN_S = 0.25
_PR_SET_PDEATHSIG = 1


def run(settings: Settings) -> int:
    """Upgrade the database, run a gateway and a worker until a signal; the exit code.

    Raises:
        ConfigurationError: the database cannot be used.
    """
    settings = completed(settings)
    _upgrade(settings.database_url)
    pair = _Pair(
        _environment(settings),
        listen=settings.listen,
        admin_listen=settings.admin_listen,
        kill_after_s=settings.drain_grace.total_seconds() + _KILL_AFTER_S,
    )
    return pair.run()


def completed(settings: Settings) -> Settings:
    """With the database and the examples that embedded mode would have taken."""
    settings = replace(settings, database_url=database_url(settings))
    if settings.contracts or settings.handlers:
        return settings
    examples = Path(taskwire.__file__).parent / "_contracts" / "examples.binpb"
    return replace(settings, contracts=(str(examples),), handlers=EXAMPLE_HANDLERS)


def next_port(admin_listen: str) -> str:
    """The worker's admin address where the gateway has `admin_listen`: the port after it."""
    host, _, port = admin_listen.rpartition(":")
    return f"{host}:{int(port) + 1}" if host and int(port) else admin_listen


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


def _end_with_parent() -> None:
    """Called in a child before its program: kill -9 of the parent must not leave it behind."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class _Pair:
    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        listen: str,
        admin_listen: str,
        kill_after_s: float,
    ) -> None:
        self._environment = environment
        self._admin_listen = admin_listen
        self._listen = listen
        self._kill_after_s = kill_after_s
        self._children: list[subprocess.Popen[bytes]] = []
        self._one_ended = threading.Event()
        self._told_to_end = False
        self._unheard = False
        """Whether a signal came while there was nobody yet to hand it to."""

    def run(self) -> int:
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self._hand_on)
        self._children += [self._start(service) for service in ("gateway", "worker")]
        if self._unheard:
            self._hand_on(signal.SIGTERM, None)
        # Threads wait for the children, so that the main thread is free for signals.
        for child in self._children:
            threading.Thread(target=self._wait, args=(child,), daemon=True).start()
        threading.Thread(target=self._greet, daemon=True).start()
        self._one_ended.wait()
        # A child that is draining already would take another signal for "now".
        if self._told_to_end:
            return max(self._code(child) for child in self._children)
        ended = [child for child in self._children if child.poll() is not None]
        self._hand_on(signal.SIGTERM, None)
        for child in self._children:
            self._code(child)
        return self._code(ended[0])

    def _start(self, service: str) -> subprocess.Popen[bytes]:
        # Ctrl-C reaches a whole process group; a group of its own gets each signal once.
        command = [sys.executable, "-m", "taskwire_cli", service]
        env = self._environment
        if service == "worker":
            env = {**env, "TASKWIRE_ADMIN_LISTEN": next_port(self._admin_listen)}
        return subprocess.Popen(command, env=env, process_group=0, preexec_fn=_end_with_parent)

    def _wait(self, child: subprocess.Popen[bytes]) -> None:
        child.wait()
        self._one_ended.set()

    def _greet(self) -> None:
        with Client(reachable_form(self._listen)) as client:
            while not client.is_reachable():
                if self._one_ended.wait(_ASK_AGAIN_S):
                    return
            types = [each.name for each in client.types()]
        where = "a gateway and a worker over RabbitMQ and Redis"
        print(greeting(self._listen, types, where=where), flush=True)

    def _hand_on(self, signum: int, frame: FrameType | None) -> None:
        self._told_to_end = True
        self._unheard = not self._children
        for child in self._children:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)

    def _code(self, child: subprocess.Popen[bytes]) -> int:
        try:
            code = child.wait(self._kill_after_s)
        except subprocess.TimeoutExpired:
            child.kill()
            code = child.wait()
        # As a shell says that a signal ended it.
        return code if code >= 0 else 128 - code
