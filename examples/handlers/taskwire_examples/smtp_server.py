"""The SMTP server that mails are handed to: where it is, and a connection to it.

Both come from the environment of the worker, and are read when a handler runs: a worker without
them runs every other example.
"""

from __future__ import annotations

import os
import smtplib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parseaddr
from urllib.parse import unquote, urlsplit

from taskwire import errors

_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
_FORM = "smtp://HOST:PORT, smtp+starttls://USER:PASSWORD@HOST or smtps://USER:PASSWORD@HOST"


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where mails go, and `sender`: whom they are from, "shop@example.com" or "Shop <…>"."""

    scheme: str
    host: str
    port: int
    sender: str
    user: str = ""
    password: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """Host and port, for people."""
        return f"{self.host}:{self.port}"

    @property
    def sender_address(self) -> str:
        """The sender without a name."""
        return parseaddr(self.sender)[1]

    def connect(self, timeout_s: float) -> smtplib.SMTP:
        """A connection that is encrypted and logged in as the URL says; close it.

        Raises:
            OSError: all that smtplib raises, which is derived from it, and what sockets raise.
        """
        encryption = ssl.create_default_context()
        connection = (
            smtplib.SMTP_SSL(self.host, self.port, timeout=timeout_s, context=encryption)
            if self.scheme == "smtps"
            else smtplib.SMTP(self.host, self.port, timeout=timeout_s)
        )
        try:
            if self.scheme == "smtp+starttls":
                connection.starttls(context=encryption)
            if self.user:
                connection.login(self.user, self.password)
        except BaseException:
            connection.close()
            raise
        return connection


def smtp_server(environment: Mapping[str, str] = os.environ) -> SmtpServer:
    """The server that SMTP_URL and SMTP_FROM name.

    Raises:
        errors.FailedPrecondition: one of them is missing or is none; what to set.
    """
    url, sender = environment.get("SMTP_URL", ""), environment.get("SMTP_FROM", "")
    if not url:
        raise _unusable("SMTP_URL", f"is not set; set it to {_FORM}")
    if not sender:
        raise _unusable("SMTP_FROM", "is not set; set it to the address that mails come from")
    if "@" not in parseaddr(sender)[1] or not sender.isprintable():
        raise _unusable("SMTP_FROM", "is no address; write it as shop@example.com")
    return _parsed(url, sender)


def _parsed(url: str, sender: str) -> SmtpServer:
    # The URL may hold a password, so that no message and no other exception may show it.
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or parts.scheme not in _PORTS or parts.path.strip("/") or parts.query:
        raise _unusable("SMTP_URL", f"is no such URL; write it as {_FORM}") from None
    return SmtpServer(
        scheme=parts.scheme,
        host=host,
        port=port or _PORTS[parts.scheme],
        sender=sender,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


def _unusable(name: str, problem: str) -> errors.FailedPrecondition:
    return errors.FailedPrecondition(
        f"{name} {problem}, in the environment of the worker, and start it again.",
        reason="SMTP_NOT_CONFIGURED",
        metadata={"variable": name},
    )
