"""The two subjects: each starts its services over the shared servers, on an empty database."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from taskwire_contracts.building import build
from taskwire_core.lifecycle import State
from tests.support.embedded import environment
from tests.support.eventually import eventually
from tests.support.processes import alive, free_ports, kill_group, spawn, stop_group
from tests.support.stack import Stack

ROOT = Path(__file__).parents[1]
BASELINE_PYTHON = ROOT / ".cache" / "bench-venv" / "bin" / "python"


class Subject:
    """Something that takes tasks; `done` counts those that have ended well."""

    name: str
    python: Path
    client: str
    address: str
    database: Path
    count_done: str

    def start(self) -> None:
        """Start the services, and return when they take tasks."""
        raise NotImplementedError

    def close(self) -> None:
        """End every process and remove the data."""
        raise NotImplementedError

    @property
    def processes(self) -> dict[str, int]:
        """The root process of each service."""
        raise NotImplementedError

    @property
    def client_environment(self) -> dict[str, str]:
        """What a client process is started with."""
        raise NotImplementedError

    def log(self) -> str:
        """The end of the services' logs."""
        raise NotImplementedError

    def check(self, expected: int) -> None:
        """Every task has ended well, once; AssertionError with what there is instead."""
        raise NotImplementedError

    def done(self) -> int:
        """How many tasks have ended well, as the database says."""
        return int(self.rows(self.count_done)[0][0] or 0)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the database answers."""
        with contextlib.closing(
            sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30)
        ) as connection:
            return connection.execute(query).fetchall()


class _EchoStack(Stack):
    """A stack that also finds the generated modules of our own contract."""

    echo: Path

    @property
    def environment(self) -> dict[str, str]:
        found = super().environment
        return {**found, "PYTHONPATH": f"{self.echo}{os.pathsep}{found['PYTHONPATH']}"}


class Taskwire(Subject):
    """A gateway and a worker, one process of 8 threads, on SQLite."""

    name = "taskwire"
    python = Path(sys.executable)
    client = "bench.load.taskwire_client"
    count_done = f"SELECT sum(count) FROM task_counters WHERE state = {int(State.SUCCEEDED)}"

    def __init__(self, rabbitmq_url: str, redis_url: str) -> None:
        self._contract = Path(tempfile.mkdtemp(prefix="taskwire-echo-"))
        build(ROOT / "bench" / "protos", self._contract / "echo.binpb", self._contract / "python")
        _EchoStack.echo = self._contract / "python"
        self._stack = _EchoStack(
            rabbitmq_url=rabbitmq_url,
            redis_url=redis_url,
            contracts=str(self._contract / "echo.binpb"),
            handlers="bench.echo_handlers",
            worker_processes="1",
            worker_threads="8",
        )
        self.address = self._stack.address
        self.database = self._stack.folder / "taskwire.db"

    def start(self) -> None:
        self._stack.start_gateway()
        self._stack.start_worker()
        eventually(self._worker_lives, within=30, what=f"a worker works; {self.log()}")

    def _worker_lives(self) -> bool:
        return bool(self.rows("SELECT count(*) FROM workers")[0][0])

    def close(self) -> None:
        for name in ("worker", "gateway"):
            if alive(self._stack.processes.get(name)):
                self._stack.stop(name)
        self._stack.close()
        shutil.rmtree(self._contract, ignore_errors=True)

    @property
    def processes(self) -> dict[str, int]:
        return {name: found.pid for name, found in self._stack.processes.items()}

    @property
    def client_environment(self) -> dict[str, str]:
        return self._stack.environment

    def log(self) -> str:
        return self._stack.log("gateway") + self._stack.log("worker")

    def check(self, expected: int) -> None:
        # A claimed task that waited too long is handed back, and claimed again: no fault.
        states = self.rows("SELECT state, attempt - handed_back, count(*) FROM tasks GROUP BY 1, 2")
        assert states == [(int(State.SUCCEEDED), 1, expected)], states
        outcomes = self.rows("SELECT count(*) FROM task_outcomes WHERE failure IS NULL")
        assert outcomes == [(expected,)], outcomes
        again = self.rows("SELECT sum(handed_back) FROM tasks")[0][0]
        events = dict(self.rows("SELECT event, count(*) FROM task_events GROUP BY 1"))
        wanted = {"submit": expected, "claim": expected + again, "success": expected}
        assert events == wanted | ({"handed_back": again} if again else {}), events
        if again:
            print(f"  {again} of {expected} tasks were handed back once claimed, and claimed again")


class Baseline(Subject):
    """S1: uvicorn with one process, Celery with two, confirms, Redis results, SQLite rows."""

    name = "S1"
    python = BASELINE_PYTHON
    client = "bench.load.baseline_client"
    count_done = "SELECT count(*) FROM jobs WHERE status = 'done'"

    def __init__(self, rabbitmq_url: str, redis_url: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="taskwire-baseline-"))
        (self.port,) = free_ports(1)
        self.address = f"127.0.0.1:{self.port}"
        self.database = self.folder / "jobs.db"
        self._environment = {
            **environment(),
            "PYTHONPATH": str(ROOT),
            "BASELINE_DATABASE": str(self.database),
            "BASELINE_RABBITMQ_URL": rabbitmq_url.replace("/%2f", "//"),
            "BASELINE_REDIS_URL": redis_url,
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        uvicorn = f"-m uvicorn bench.baseline.app:app --port {self.port}"
        self._spawn("api", f"{uvicorn} --log-level warning --no-access-log")
        eventually(self._listens, within=30, what=f"the API listens; {self.log()}")
        celery = "-m celery -A bench.baseline.tasks worker --concurrency 2 --loglevel INFO"
        self._spawn("worker", f"{celery} --without-gossip --without-mingle")
        eventually(
            lambda: " ready." in self._log("worker"), within=30, what=f"Celery works; {self.log()}"
        )

    def _spawn(self, name: str, arguments: str) -> None:
        self._processes[name] = spawn(
            [str(self.python), *arguments.split()],
            env=self._environment,
            log=self.folder / f"{name}.log",
        )

    def _listens(self) -> bool:
        assert alive(self._processes["api"]), self.log()
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        return False

    def close(self) -> None:
        for process in reversed(self._processes.values()):
            stop_group(process)
            kill_group(process)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def processes(self) -> dict[str, int]:
        return {name: found.pid for name, found in self._processes.items()}

    @property
    def client_environment(self) -> dict[str, str]:
        return self._environment

    def _log(self, name: str) -> str:
        path = self.folder / f"{name}.log"
        return path.read_text()[-4000:] if path.exists() else ""

    def log(self) -> str:
        return self._log("api") + self._log("worker")

    def check(self, expected: int) -> None:
        states = Counter(dict(self.rows("SELECT status, count(*) FROM jobs GROUP BY 1")))
        assert states == {"done": expected}, states
