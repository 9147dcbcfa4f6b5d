"""A `taskwire dev` of the tests: a real process on a free port, with data that outlives it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2

from tests.support.processes import alive, free_ports, kill_group, spawn, stop_group

COMMAND = (sys.executable, "-m", "taskwire_cli")


def environment(**settings: str) -> dict[str, str]:
    """This process's environment with these settings of taskwire and no others.

    The admin port is off unless the test names one: servers of several tests run at once.
    """
    # SMTP_* are those of an example.
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TASKWIRE_", "SMTP_"))}
    chosen = {"admin_listen": "off", **settings}
    return {**kept, **{f"TASKWIRE_{name.upper()}": value for name, value in chosen.items()}}


class EmbeddedServer:
    """One `taskwire dev` that may be stopped, killed and started again on the same data."""

    def __init__(self, **settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="taskwire-dev-"))
        (self.port,) = free_ports(1)
        self.address = f"127.0.0.1:{self.port}"
        self.data = self.folder / "data"
        self.log = self.folder / "output.log"
        self.python_path = ""
        """Where the server finds modules of the test."""
        self.settings = {"listen": self.address, "data_dir": str(self.data), **settings}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """What the server is started with; a client command needs no more."""
        found = environment(**self.settings)
        return {**found, "PYTHONPATH": self.python_path} if self.python_path else found

    @property
    def output(self) -> str:
        """All that it has printed and logged so far, over all its starts."""
        return self.log.read_text()

    def start(self) -> None:
        """Start, and return when its health check says SERVING (about 2 s)."""
        self._process = spawn([*COMMAND, "dev"], env=self.environment, log=self.log)
        deadline = time.monotonic() + 30
        with grpc.insecure_channel(
            self.address, options=[("grpc.use_local_subchannel_pool", 1)]
        ) as channel:
            while not serves(channel):
                if not alive(self._process) or time.monotonic() > deadline:
                    raise AssertionError(f"taskwire dev did not start: {self.output[-3000:]}")

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        assert self._process is not None
        stop_group(self._process)
        return self._process.returncode

    @property
    def runs(self) -> bool:
        """Whether it was started and has not ended since."""
        return self._process is not None and alive(self._process)

    def wait_until_ended(self, *, within: float = 60.0) -> int:
        """The exit code of a server that ends by itself; negative: the signal's number."""
        assert self._process is not None
        return self._process.wait(within)

    def kill(self) -> None:
        """SIGKILL to the process and its children."""
        if self._process is not None:
            kill_group(self._process)

    def close(self) -> None:
        """End it and remove its data."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """A command of the real script, beside the server."""
        return run_command(*arguments, env=self.environment, cwd=cwd)


def run_command(
    *arguments: str, env: Mapping[str, str], cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """`taskwire` with `arguments`, in a process of its own."""
    return subprocess.run(
        [*COMMAND, *arguments], env=env, cwd=cwd, capture_output=True, text=True, timeout=60
    )


def serves(channel: grpc.Channel) -> bool:
    """Whether the server behind `channel` answers its health check within a second."""
    check: grpc.UnaryUnaryMultiCallable[bytes, health_pb2.HealthCheckResponse] = (
        channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
    )
    try:
        answer = check(b"", timeout=1, wait_for_ready=True)
    except grpc.RpcError:
        return False
    return answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.fixture(scope="session")
def embedded() -> Iterator[EmbeddedServer]:
    """A `taskwire dev` with the examples that all tests share; never stop it."""
    server = EmbeddedServer()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def killable_embedded() -> Iterator[EmbeddedServer]:
    """A `taskwire dev` of this test's own, started."""
    server = EmbeddedServer()
    try:
        server.start()
        yield server
    finally:
        server.close()
