"""An SMTP server of the tests: a process that keeps the mails it takes in files."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_string, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.processes import alive, free_ports, kill_group, spawn


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail as the server took it."""

    sender: str
    recipients: list[str]
    content: str
    encrypted: bool
    user: str

    @property
    def message(self) -> EmailMessage:
        """Its headers and parts."""
        return message_from_string(self.content, EmailMessage, policy=policy.SMTP)


class SmtpServer:
    """A server that a test may start, kill and start again; its addresses choose its answers.

    `tests/support/smtp_program.py` says which. `tls` is "", "smtps" or "starttls".
    """

    def __init__(self, *, tls: str = "", login: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="taskwire-smtp-"))
        (self.port,) = free_ports(1)
        self.certificate = self.folder / "server.pem"
        self._options = [*(["--tls", tls] if tls else []), *(["--login"] if login else [])]
        if tls:
            _make_certificate(self.certificate)
            self._options += ["--certificate", str(self.certificate)]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is, without encryption and user."""
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def mails(self) -> list[Mail]:
        """What it has taken so far, in that order."""
        files = sorted(self.folder.glob("*.json"), key=lambda file: int(file.stem))
        return [Mail(**json.loads(file.read_text())) for file in files]

    def start(self) -> None:
        """Start, and return when it can be connected to (0.3 s)."""
        program = [sys.executable, "-m", "tests.support.smtp_program"]
        log = self.folder / "output.log"
        self._process = spawn([*program, str(self.folder), str(self.port), *self._options], log=log)

        def connects() -> bool:
            if not alive(self._process):
                raise RuntimeError(log.read_text())
            with socket.socket() as attempt:
                return attempt.connect_ex(("127.0.0.1", self.port)) == 0

        eventually(connects, within=30, what="the SMTP server listens")

    def let_go(self) -> None:
        """Answer what is held, and hold nothing more."""
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR1)

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            kill_group(self._process)

    def close(self) -> None:
        """End it and remove its mails."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def _make_certificate(file: Path) -> None:
    """A key and a certificate for 127.0.0.1 that it signed itself."""
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        ["openssl", "req", "-x509", *curve, *names, "-keyout", str(file), "-out", f"{file}.crt"],
        check=True,
        capture_output=True,
    )
    with file.open("a") as both:
        both.write(Path(f"{file}.crt").read_text())


@pytest.fixture(scope="session")
def smtp() -> Iterator[SmtpServer]:
    """An SMTP server that all tests share: look for a mail by its recipient or its id."""
    server = SmtpServer()
    try:
        server.start()
        yield server
    finally:
        server.close()
