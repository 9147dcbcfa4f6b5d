"""A subject made of programs in bench/baseline, which are told everything by their environment."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import uuid
from pathlib import Path

from bench.subjects.subject import BENCH_PYTHON, ROOT, Servers, Subject
from tests.support.embedded import environment
from tests.support.processes import alive, free_ports, kill_group, spawn, stop_group


class Program(Subject):
    """Its folder, its environment and its processes."""

    def __init__(self, servers: Servers) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="taskwire-baseline-"))
        (self.port,) = free_ports(1)
        self.addresses = [f"127.0.0.1:{self.port}"]
        self.servers = _pids(rabbitmq=servers.rabbit.pid, redis=servers.redis.pid)
        self.database = self.folder / "jobs.db"
        self.ended_file = self.folder / "ended"
        self.ended_file.touch()
        self.results_url = servers.redis.url.removesuffix("/0") + "/1"
        self.environment = {
            **environment(),
            "PYTHONPATH": str(ROOT),
            "BASELINE_DATABASE": str(self.database),
            "BASELINE_RABBITMQ_URL": servers.rabbit.url,
            "BASELINE_REDIS_URL": self.results_url,
            "BASELINE_QUEUE": f"baseline-{uuid.uuid4()}",
            "BASELINE_ENDED": str(self.ended_file),
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def spawn(self, name: str, arguments: str, python: Path = BENCH_PYTHON) -> None:
        """Start a process; `arguments` are those of Python."""
        self._processes[name] = spawn(
            [str(python), *arguments.split()],
            env=self.environment,
            log=self.folder / f"{name}.log",
        )

    def listens(self, name: str) -> bool:
        """Whether the process `name` takes connections."""
        assert alive(self._processes[name]), self.log()
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

    def log_of(self, name: str) -> str:
        """The end of what a process has logged."""
        path = self.folder / f"{name}.log"
        return path.read_text()[-4000:] if path.exists() else ""

    def log(self) -> str:
        return "".join(map(self.log_of, self._processes))


def _pids(**found: int | None) -> dict[str, int]:
    return {name: pid for name, pid in found.items() if pid}
