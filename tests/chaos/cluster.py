"""A cluster of the tests: gateways, workers and keepers, and a proxy before all they depend on.

Processes are named after what they are: "gateway", "gateway-2", "worker", "keeper". Each may be
signalled, killed and started again; its addresses, its links and its data folder stay its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from tests.chaos.links import Links, Network, kind_of
from tests.chaos.proxies import Proxies
from tests.chaos.servers import Dependency, Servers
from tests.support.contracts import built
from tests.support.embedded import COMMAND, environment, run_command
from tests.support.eventually import eventually
from tests.support.processes import (
    alive,
    children,
    descendants,
    free_ports,
    kill_group,
    send,
    spawn,
)
from tests.support.stack import serving

Store = Literal["sqlite", "postgresql"]
To = Literal["process", "child", "apart", "all"]
"""Who of a service is signalled: its main process, a worker's processes that claim, its
processes that run one task apart, or all of them as one host."""

SignalName = Literal["KILL", "STOP", "CONT", "TERM", "INT"]

TESTS = Path(__file__).parents[1]

_ISOLATED = "taskwire_worker.isolation.child"

DEFAULTS = {"lease_ttl": "5s", "worker_threads": "4", "drain_grace": "10s"}
"""Leases are short, so that a run is; a row that is about the default says so."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Which parts a cluster has; with a keeper of its own, gateways keep nothing."""

    store: Store = "sqlite"
    gateways: int = 1
    workers: int = 1
    keepers: int = 0
    settings: Mapping[str, str] = field(default_factory=dict)
    python_path: Sequence[Path] = ()
    """Folders whose modules its processes find before all others."""

    @property
    def lease_ttl_s(self) -> float:
        """The lease of its processes."""
        return float({**DEFAULTS, **self.settings}["lease_ttl"].removesuffix("s"))

    @property
    def names(self) -> list[str]:
        """The names of its processes, in the order in which they are started."""
        counts = (("gateway", self.gateways), ("keeper", self.keepers), ("worker", self.workers))
        return [numbered(kind, n) for kind, count in counts for n in range(1, count + 1)]


def numbered(kind: str, number: int) -> str:
    """The name of the `number`-th process of a kind."""
    return kind if number == 1 else f"{kind}-{number}"


class Cluster:
    """Made with its database; `start_all` starts its processes, and `close` ends everything."""

    def __init__(self, shape: Shape, servers: Servers, proxies: Proxies, history: Path) -> None:
        self.shape = shape
        self.servers = servers
        self.history = history
        self.folder = Path(tempfile.mkdtemp(prefix="taskwire-cluster-"))
        self.network = Network(proxies)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._ports: dict[tuple[str, str], int] = {}
        self._log_starts_at: dict[str, int] = {}
        self._database = servers.postgres.create() if shape.store == "postgresql" else ""
        self._run("db", "upgrade")

    # Where everything is.

    @property
    def database_url(self) -> str:
        """The database, past every proxy."""
        if self._database:
            return self.servers.postgres.url(self._database)
        return f"sqlite:///{self.folder / 'taskwire.db'}"

    def port(self, name: str, what: Literal["grpc", "admin"]) -> int:
        """A port of a process, past every proxy; it keeps it over restarts."""
        if (name, what) not in self._ports:
            (self._ports[name, what],) = free_ports(1)
        return self._ports[name, what]

    def address(self, gateway: str = "gateway") -> str:
        """Where clients find a gateway: their link to it."""
        port = self.network.between("client", gateway, self.port(gateway, "grpc")).port
        return f"127.0.0.1:{port}"

    @property
    def addresses(self) -> list[str]:
        """Where clients find the gateways."""
        return [self.address(name) for name in self.shape.names if kind_of(name) == "gateway"]

    def links(self, of: str = "", to: str = "") -> Links:
        """The links of a process or of a kind ("client" too) to "rabbitmq", "redis" or so."""
        return self.network.links(of, to)

    # Starting.

    def start_all(self) -> None:
        """Start every process of the shape, and return when all of them serve."""
        for name in self.shape.names:
            self.start(name, wait=False)
        for name in self.shape.names:
            self.wait_until_up(name)

    def start(self, name: str, *, failpoints: str = "", wait: bool = True, **settings: str) -> None:
        """Start a process, again or for the first time, with settings of its own."""
        assert not alive(self.processes.get(name)), f"{name} runs already"
        if kind_of(name) == "gateway":
            self.address(name)
        env = self._environment(name, {**settings, "failpoints": failpoints})
        self._log_starts_at[name] = len(self.log(name))
        command = [*COMMAND, kind_of(name)]
        self.processes[name] = spawn(command, env=env, log=self.log_file(name))
        if wait:
            self.wait_until_up(name)

    def wait_until_up(self, name: str) -> None:
        """Return when a started process serves, keeps, or has registered its worker."""

        def up() -> bool:
            assert self.alive(name), "it has ended"
            if kind_of(name) == "gateway":
                return serving(f"127.0.0.1:{self.port(name, 'grpc')}")
            word = "worker started" if kind_of(name) == "worker" else "keeping"
            return word in self.log(name)[self._log_starts_at[name] :]

        try:
            eventually(up, within=180)
        except AssertionError as problem:
            raise AssertionError(f"{name} is not up: {self.log(name)[-4000:]}") from problem

    def stop(self, name: str) -> int:
        """SIGTERM; the exit code of its orderly end."""
        self.send("TERM", name)
        return self.wait_until_ended(name)

    def restart(self, name: str) -> None:
        """SIGTERM, and start again when it has ended."""
        self.stop(name)
        self.start(name)

    # Breaking.

    def pids(self, name: str, to: To = "process") -> list[int]:
        """The living processes of a service that `to` means."""
        main = self.processes[name].pid
        if to == "process":
            return [main] if self.alive(name) else []
        found = descendants(main)
        if to == "all":
            return [main, *found] if self.alive(name) else []
        if to == "child":
            return [pid for pid in children(main) if pid in found]
        return [pid for pid, line in found.items() if line.endswith(_ISOLATED)]

    def owner(self, pid: int) -> str:
        """The service that a process belongs to."""
        return next(name for name in self.processes if pid in self.pids(name, "all"))

    def send(self, signal: SignalName, name: str, to: To = "process") -> list[int]:
        """Signal a service; the processes that were signalled, never none."""
        pids = self.pids(name, to)
        assert pids, f"{name} has no {to}: {self.log(name)[-2000:]}"
        for pid in pids:
            send(pid, signal)
        return pids

    def kill(self, name: str) -> None:
        """SIGKILL to a service with everything that it has started, as if its host were lost."""
        self.send("KILL", name, to="all")
        self.processes[name].wait(10)

    def make_whole(self) -> None:
        """Heal every link, let go on what stands still, and start what has ended."""
        self.links().heal()
        for name in self.processes:
            if self.alive(name):
                self.send("CONT", name, to="all")
            else:
                self.start(name)

    def alive(self, name: str) -> bool:
        """Whether a service's main process has been started and has not ended."""
        return alive(self.processes.get(name))

    def wait_until_ended(self, name: str, *, within: float = 60) -> int:
        """The exit code of a service that ends by itself; negative: the signal's number."""
        eventually(lambda: not self.alive(name), within=within, what=f"{name} ends")
        return self.processes[name].returncode

    # What it has said.

    def log_file(self, name: str) -> Path:
        """Where a process logs, over all its starts."""
        return self.folder / f"{name}.log"

    def log(self, name: str) -> str:
        """What a process has logged, over all its starts."""
        path = self.log_file(name)
        return path.read_text(errors="replace") if path.exists() else ""

    def logs(self) -> str:
        """The last of what each process has logged, for somebody who looks for a reason."""
        return "\n".join(f"{name}: {self.log(name)[-2000:]}" for name in self.processes)

    def close(self) -> None:
        """End every process and remove what is left of them."""
        for process in self.processes.values():
            kill_group(process)
        self.network.close()
        if self._database:
            self.servers.postgres.drop(self._database)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _environment(self, name: str, settings: Mapping[str, str]) -> dict[str, str]:
        """What a process is started with: its links in the place of the servers."""
        descriptors, python = built(TESTS / "chaos" / "protos")
        own = {
            "listen": f"127.0.0.1:{self.port(name, 'grpc')}",
            "admin_listen": f"127.0.0.1:{self.port(name, 'admin')}",
            "database_url": self._linked(name, "postgresql", self.database_url),
            "rabbitmq_url": self._linked(name, "rabbitmq", self.servers.rabbit.url),
            "redis_url": self._linked(name, "redis", self.servers.redis.url),
            "data_dir": str(self.folder / name),
            "contracts": str(descriptors),
            "handlers": "tests.chaos.handlers",
            "keeper": "off" if self.shape.keepers and kind_of(name) == "gateway" else "",
        }
        path = os.pathsep.join(map(str, [*self.shape.python_path, python, TESTS.parent]))
        chosen = {**own, **DEFAULTS, **self.shape.settings, **settings}
        return {
            **environment(**chosen),
            "PYTHONPATH": path,
            "CHAOS_HISTORY": str(self.history),
        }

    def _linked(self, name: str, dependency: Dependency, url: str) -> str:
        port = urlsplit(url).port
        if port is None:
            return url  # SQLite is a file.
        proxy = self.network.between(name, dependency, port)
        return url.replace(f":{port}/", f":{proxy.port}/")

    def _run(self, *arguments: str) -> None:
        env = environment(database_url=self.database_url)
        done = run_command(*arguments, env=env)
        assert done.returncode == 0, done.stderr
