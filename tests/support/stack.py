"""A whole taskwire of the tests: gateway and worker as processes of their own, over real servers.

Each stack has its own database and so its own deployment id: several may share a RabbitMQ and
a Redis.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from taskwire.client import Client
from tests.support.contracts import built
from tests.support.embedded import COMMAND, environment, run_command, serves
from tests.support.eventually import eventually
from tests.support.processes import alive, free_ports, kill_group, spawn, stop_group

TESTS = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal that the test's handler writes outside taskwire."""

    what: str
    key: str
    task_id: str
    attempt: int
    pid: int


def journal_entries(journal: Path, key: str | None = None) -> list[Entry]:
    """The lines of a journal, oldest first; only those of `key` when it is given."""
    lines = [line.split() for line in journal.read_text().splitlines()]
    found = [Entry(w, k, t, int(a), int(p)) for w, k, t, a, p in lines]
    return [entry for entry in found if key is None or entry.key == key]


class Stack:
    """Starts, kills and restarts gateways and workers, each by its name; `close` ends all."""

    def __init__(self, *, rabbitmq_url: str, redis_url: str, **settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="taskwire-stack-"))
        (self.port,) = free_ports(1)
        self.address = f"127.0.0.1:{self.port}"
        self.addresses = {"gateway": self.address}
        self.journal = self.folder / "journal.txt"
        self.journal.touch()
        self.contracts, self.python = built(TESTS / "e2e" / "protos")
        self.settings = {
            "listen": self.address,
            "database_url": f"sqlite:///{self.folder / 'taskwire.db'}",
            "rabbitmq_url": rabbitmq_url,
            "redis_url": redis_url,
            "data_dir": str(self.folder / "data"),
            "contracts": str(self.contracts),
            "handlers": "tests.e2e.journal_handlers",
            **settings,
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.command("db", "upgrade")

    @property
    def environment(self) -> dict[str, str]:
        """What both services are started with."""
        inherited = filter(None, [os.environ.get("PYTHONPATH")])
        path = os.pathsep.join([str(self.python), str(TESTS.parent), *inherited])
        journal = {"PYTHONPATH": path, "JOURNAL_FILE": str(self.journal)}
        return {**environment(**self.settings), **journal}

    def command(self, *arguments: str) -> str:
        """What a `taskwire` command with this stack's settings prints; it must succeed."""
        done = run_command(*arguments, env=self.environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start_gateway(self, name: str = "gateway", **settings: str) -> None:
        """Start, and return when it serves; each has an address of its own, and keeps it."""
        if name not in self.addresses:
            (port,) = free_ports(1)
            self.addresses[name] = f"127.0.0.1:{port}"
        address = self.addresses[name]
        self._start(name, "gateway", listen=address, **settings)

        def serves() -> bool:
            assert alive(self.processes[name]), self.log(name)
            return serving(address)

        eventually(serves, within=30, what=f"{name} serves; {self.log(name)}")

    def start_keeper(self, name: str = "keeper") -> None:
        """Start a keeper of its own, and return when it stands for leader."""
        self._start(name, "keeper")
        eventually(lambda: "keeping" in self.log(name), within=30, what=f"{name}: {self.log(name)}")

    def start_worker(self, name: str = "worker", **settings: str) -> None:
        """Start a worker; it takes tasks as soon as it is up."""
        self._start(name, "worker", **settings)

    def _start(self, name: str, command: str, **settings: str) -> None:
        env = {**self.environment, **{f"TASKWIRE_{k.upper()}": v for k, v in settings.items()}}
        log = self.folder / f"{name}.log"
        self.processes[name] = spawn([*COMMAND, command], env=env, log=log)

    def log(self, name: str) -> str:
        """What a process has logged so far."""
        path = self.folder / f"{name}.log"
        return path.read_text()[-4000:] if path.exists() else ""

    def logs(self) -> str:
        """What every process has logged so far, for a test that fails."""
        return "\n".join(f"{name}: {self.log(name)}" for name in self.processes)

    def kill(self, name: str) -> None:
        """SIGKILL to the process and all its children."""
        kill_group(self.processes[name])

    def stop(self, name: str) -> int:
        """SIGTERM; its exit code."""
        stop_group(self.processes[name], within=60)
        return self.processes[name].returncode

    def entries(self, key: str | None = None) -> list[Entry]:
        """The journal, oldest first; only the lines of `key` when it is given."""
        return journal_entries(self.journal, key)

    def wait_for(self, what: str, key: str, *, within: float = 30) -> Entry:
        """The first line `what` of `key`, once it is there."""
        eventually(
            lambda: any(e.what == what for e in self.entries(key)),
            within=within,
            what=f"{what} {key}; worker: {self.log('worker')}; gateway: {self.log('gateway')}",
        )
        return next(e for e in self.entries(key) if e.what == what)

    def client(self, gateway: str = "gateway") -> Client:
        """A client of a gateway."""
        return Client(self.addresses[gateway])

    def close(self) -> None:
        """End every process and remove the folder."""
        for process in self.processes.values():
            kill_group(process)
        shutil.rmtree(self.folder, ignore_errors=True)


def serving(address: str) -> bool:
    """Whether a gateway answers its health check there, asked on a new connection."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(address, options=options) as channel:
        return serves(channel)


@contextmanager
def stack(*, rabbitmq_url: str, redis_url: str, **settings: str) -> Iterator[Stack]:
    """A stack whose gateway and worker run."""
    made = Stack(rabbitmq_url=rabbitmq_url, redis_url=redis_url, **settings)
    try:
        made.start_gateway()
        made.start_worker()
        yield made
    finally:
        made.close()
