"""Private RabbitMQ and Redis servers: own ports, own folder, data kept over a restart.

Each object is one server that a test may start, stop, kill and restart. They need Debian's
packages `rabbitmq-server` and `redis-server`, but not their daemons.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pika
from pika.exceptions import AMQPError

from tests.support.processes import alive, free_ports, kill_group, spawn, stop_group

RABBITMQ_BIN = Path("/usr/lib/rabbitmq/bin")
# Busy waiting of Erlang's schedulers would take a core from the tests.
_ERLANG_ARGUMENTS = (
    "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none"
)


class ServerMissing(Exception):
    """A server program is not installed; the text says what to install."""


class ServerFailed(Exception):
    """A server did not start; the text has the end of its log."""


class RabbitServer:
    """One RabbitMQ node with an epmd of its own."""

    def __init__(self) -> None:
        if not (RABBITMQ_BIN / "rabbitmq-server").exists() or shutil.which("epmd") is None:
            raise ServerMissing(
                "RabbitMQ is not installed; install it with: apt-get install rabbitmq-server"
            )
        self.folder = Path(tempfile.mkdtemp(prefix="taskwire-rabbitmq-"))
        self.port, self._distribution_port, self._epmd_port = free_ports(3)
        self._process: subprocess.Popen[bytes] | None = None
        self._epmd: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/%2f"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start, and return when clients can connect (about 7 s)."""
        if not alive(self._epmd):
            # Its own epmd, as a child: the one that Erlang starts by itself becomes a daemon.
            self._epmd = spawn(
                ["epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1"],
                log=self.folder / "epmd.log",
            )
            _wait_until_listening(self._epmd, self._epmd_port, self.folder / "epmd.log")
        self._write_configuration()
        log = self.folder / "output.log"
        self._process = spawn(
            [str(RABBITMQ_BIN / "rabbitmq-server")], env=self._environment(), log=log
        )
        deadline = time.monotonic() + 90
        while not self._accepts_clients():
            if not alive(self._process) or time.monotonic() > deadline:
                raise ServerFailed(f"RabbitMQ did not start: {log.read_text()[-2000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop in order (SIGTERM); durable queues and persistent messages are kept."""
        if self._process is not None:
            stop_group(self._process, within=30)
            self._process = None

    def kill(self) -> None:
        """SIGKILL; what RabbitMQ had confirmed is on disk."""
        if self._process is not None:
            kill_group(self._process)
            self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        """End everything that was started and remove the folder."""
        self.kill()
        if self._epmd is not None:
            kill_group(self._epmd)
        shutil.rmtree(self.folder, ignore_errors=True)

    def wipe(self) -> None:
        """Kill it and remove all that it has on disk: queues, messages, everything."""
        self.kill()
        shutil.rmtree(self.folder / "mnesia")

    def close_all_connections(self) -> None:
        """Make the server close every client connection, as an operator would (about 2 s)."""
        self.ctl("close_all_connections", "closed by the test")

    def write_names(self) -> None:
        """Have the names of all queues on disk.

        RabbitMQ 3.10 writes those of quorum queues twice a second. One that is killed before, on
        its only node, does not find the queue again; and one time in twenty it has forgotten a
        classic queue of a moment ago, with all the messages that it had confirmed.
        """
        self.ctl("eval", "ok = dets:sync(ra_directory_reverse), dumped = mnesia:dump_log().")

    def ctl(self, *arguments: str) -> str:
        """The output of `rabbitmqctl` for this node."""
        done = subprocess.run(
            [str(RABBITMQ_BIN / "rabbitmqctl"), "--quiet", *arguments],
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout

    def _accepts_clients(self) -> bool:
        parameters = pika.URLParameters(self.url)
        parameters.socket_timeout = parameters.stack_timeout = 2
        try:
            pika.BlockingConnection(parameters).close()
        except (AMQPError, OSError):
            return False
        return True

    def _write_configuration(self) -> None:
        (self.folder / "plugins").write_text("[].\n")
        # A nearly full disk of the machine must not block publishers in a test.
        (self.folder / "rabbitmq.conf").write_text("disk_free_limit.absolute = 1MB\n")

    def _environment(self) -> dict[str, str]:
        folder = self.folder
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(folder),
            # Makes the start script become the server instead of its parent, so that the server
            # itself is the process that is stopped, killed, and dies with the tests.
            "RUNNING_UNDER_SYSTEMD": "true",
            "RABBITMQ_NODENAME": f"tw{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _ERLANG_ARGUMENTS,
        }


class RedisServer:
    """One Redis server that writes every change to its append-only file."""

    def __init__(self) -> None:
        if shutil.which("redis-server") is None:
            raise ServerMissing(
                "Redis is not installed; install it with: apt-get install redis-server"
            )
        self.folder = Path(tempfile.mkdtemp(prefix="taskwire-redis-"))
        (self.port,) = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start, and return when clients can connect."""
        log = self.folder / "output.log"
        settings = f"--port {self.port} --bind 127.0.0.1 --dir {self.folder}"
        self._process = spawn(
            ["redis-server", *settings.split(), "--appendonly", "yes", "--save", ""], log=log
        )
        _wait_until_listening(self._process, self.port, log)

    def stop(self) -> None:
        if self._process is not None:
            stop_group(self._process)
            self._process = None

    def kill(self) -> None:
        if self._process is not None:
            kill_group(self._process)
            self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        """End the server and remove the folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def _wait_until_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=2).close()
            # Another program may have taken the port in the meantime; then ours has ended.
            if alive(process):
                return
        except OSError:
            pass
        if not alive(process) or time.monotonic() > deadline:
            raise ServerFailed(f"{process.args!r} did not start: {log.read_text()[-2000:]}")
        time.sleep(0.02)
