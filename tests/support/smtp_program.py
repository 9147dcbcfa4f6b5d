"""An SMTP server whose answers the addresses choose; `tests.support.smtp` runs it.

It writes each mail that it takes into its folder, as NUMBER.json. The local part of a recipient
says what it gets:

- `never`: 550, and `later`: 451; `later-once` gets 451 only the first time.
- `data-never`: 554 for the mail itself.
- `held`: the mail is written, and the answer waits for SIGUSR1.

The sender `forbidden` gets 553.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import ssl
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


class Mailbox:
    """What aiosmtpd asks at each command."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._delayed: set[str] = set()
        self.go = asyncio.Event()

    async def handle_MAIL(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("forbidden@"):
            return "553 5.7.1 not your address"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        kind = address.partition("@")[0]
        if kind == "never":
            return "550 5.1.1 no such mailbox"
        if kind == "later" or (kind == "later-once" and address not in self._delayed):
            self._delayed.add(address)
            return "451 4.7.1 greylisted, come back"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        kinds = {address.partition("@")[0] for address in envelope.rcpt_tos}
        if "data-never" in kinds:
            return "554 5.7.1 this is spam"
        assert server.transport is not None
        encryption = server.transport.get_extra_info("ssl_object")
        self._write(envelope, session, encrypted=encryption is not None)
        if "held" in kinds:
            await self.go.wait()
        return "250 OK"

    def _write(self, envelope: Envelope, session: Session, *, encrypted: bool) -> None:
        content = envelope.content
        assert isinstance(content, bytes)
        mail = {
            "sender": envelope.mail_from,
            "recipients": envelope.rcpt_tos,
            "content": content.decode("ascii"),
            "encrypted": encrypted,
            "user": session.auth_data.login.decode() if session.auth_data else "",
        }
        number = len(list(self._folder.glob("*.json")))
        # A reader must not see half a file.
        draft = self._folder / "draft"
        draft.write_text(json.dumps(mail))
        draft.rename(self._folder / f"{number}.json")


def authenticate(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
) -> AuthResult:
    """One user may log in: `shop` with the password `p@ss:word`."""
    assert isinstance(data, LoginPassword)
    welcome = data == LoginPassword(b"shop", b"p@ss:word")
    return AuthResult(success=welcome, handled=False, auth_data=data)


async def serve(arguments: argparse.Namespace) -> None:
    """Serve until a signal."""
    encryption = None
    if arguments.tls:
        encryption = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        encryption.load_cert_chain(arguments.certificate)
    mailbox = Mailbox(arguments.folder)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, mailbox.go.set)

    def session() -> SMTP:
        return SMTP(
            mailbox,
            data_size_limit=100_000,
            hostname="mail.example.com",
            tls_context=encryption if arguments.tls == "starttls" else None,
            authenticator=authenticate,
            auth_required=arguments.login,
            auth_require_tls=arguments.tls == "starttls",
        )

    server = await asyncio.get_running_loop().create_server(
        session,
        "127.0.0.1",
        arguments.port,
        ssl=encryption if arguments.tls == "smtps" else None,
    )
    async with server:
        await server.serve_forever()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("--tls", choices=["smtps", "starttls"])
    parser.add_argument("--certificate", type=Path)
    parser.add_argument("--login", action="store_true")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
