"""A private PostgreSQL: own port, own folder, and a database of its own for every test.

It needs Debian's package `postgresql`, but not its daemon. PostgreSQL refuses to run as root, so
there it runs as the user `postgres` that the package brings.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg
from psycopg import sql

from tests.support.processes import alive, descendants, free_ports, gone, spawn
from tests.support.servers import ServerFailed, ServerMissing

MAJOR_VERSIONS = Path("/usr/lib/postgresql")
USER = "postgres"
PASSWORD = "tea for two"
"""With spaces, so that a URL which is not quoted is noticed."""

# Nothing of this weakens what survives kill -9: only a machine that loses power would lose data.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "200",
    "log_lock_waits": "on",
    "timezone": "Asia/Kathmandu",
}


# An order of texts that is not that of their bytes, as on most real servers.
LOCALE = ("--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US")


class PostgresServer:
    """One PostgreSQL server that a test may stop, crash and start again."""

    def __init__(self, **settings: str) -> None:
        self._programs = _programs()
        self._settings = {**SETTINGS, **settings}
        # Below the clone's own folder the user `postgres` may not be able to read.
        self.folder = Path(tempfile.mkdtemp(prefix="taskwire-postgresql-", dir=_place()))
        if os.geteuid() == 0:
            shutil.chown(self.folder, USER)
        (self.port,) = free_ports(1)
        self.log = self.folder / "output.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._initialise()

    @property
    def pid(self) -> int | None:
        """Of the server that serves now; None while it is stopped."""
        return self._process.pid if self._process else None

    def url(self, database: str, *, password: str = PASSWORD) -> str:
        """The URL of one of its databases, as an operator would write it."""
        quoted = password.replace(" ", "%20")
        return f"postgresql://{USER}:{quoted}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start, and return when clients can connect (half a second)."""
        settings = [f"-c{name}={value}" for name, value in self._settings.items()]
        command = [str(self._programs / "postgres"), "-D", str(self.folder / "data")]
        self._process = spawn(
            _unprivileged([*command, f"-cport={self.port}", *settings]),
            log=self.log,
            cwd=self.folder,
        )
        deadline = time.monotonic() + 60
        while not self._accepts_clients():
            if not alive(self._process) or time.monotonic() > deadline:
                raise ServerFailed(f"PostgreSQL did not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop in order: open transactions are rolled back, connections are closed."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """What `pg_ctl stop -m immediate` does: nothing is finished, and the log is replayed."""
        self._end(signal.SIGQUIT)

    def limit_files(self, size: int) -> None:
        """Until it is started again it can write no file beyond so many bytes."""
        assert self._process is not None
        pid = self._process.pid
        for each in (pid, *descendants(pid)):
            # Root may need a capability for processes of others; their own user needs none.
            command = ["prlimit", f"--pid={each}", f"--fsize={size}:"]
            done = subprocess.run(_unprivileged(command), capture_output=True, text=True)
            # The first one that is limited may end the others before it is their turn.
            if done.returncode != 0 and not gone(each):
                raise ServerFailed(f"PostgreSQL was not limited: {done.stderr}")

    def close(self) -> None:
        """End the server and remove the folder."""
        self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)

    def create(self, *, like: str = "template0") -> str:
        """The name of a new database: empty, or a copy of the database `like`."""
        name = f"taskwire_{next(self._numbers)}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        self._execute(statement.format(sql.Identifier(name), sql.Identifier(like)))
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is connected to it."""
        self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url(USER), autocommit=True) as connection:
            connection.execute(statement)

    def _accepts_clients(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(self.url(USER), connect_timeout=2).close()
            return True
        return False

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        self._process.wait(30)
        self._process = None

    def _initialise(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        if os.geteuid() == 0:
            shutil.chown(secret, USER)
        command = [str(self._programs / "initdb"), "-D", str(self.folder / "data"), "-U", USER]
        options = ["--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8", "--no-sync"]
        done = subprocess.run(
            _unprivileged([*command, *options, *LOCALE, "--no-instructions"]),
            capture_output=True,
            text=True,
            timeout=120,
            cwd=self.folder,
        )
        if done.returncode != 0:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise ServerFailed(f"initdb failed: {done.stderr[-2000:]}")


@contextlib.contextmanager
def database_of(server: PostgresServer, *, like: str = "template0") -> Iterator[str]:
    """The URL of a new database, which is removed afterwards."""
    name = server.create(like=like)
    try:
        yield server.url(name)
    finally:
        server.drop(name)


def _programs() -> Path:
    found = [p for p in MAJOR_VERSIONS.glob("*/bin") if (p / "initdb").exists()]
    if not found:
        raise ServerMissing(
            "PostgreSQL is not installed; install it with: apt-get install postgresql"
        )
    return max(found, key=lambda path: [int(n) for n in re.findall(r"\d+", str(path))])


def _place() -> str | None:
    return "/tmp" if os.geteuid() == 0 else None


def _unprivileged(command: Sequence[str]) -> list[str]:
    if os.geteuid() != 0:
        return list(command)
    user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--"]
    # A change of the user takes the bond to the tests away, which `spawn` has made.
    return [*user, "setpriv", "--pdeathsig", "KILL", "--", *command]
