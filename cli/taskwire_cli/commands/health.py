"""`taskwire health`: a health check for container engines and scripts."""

from __future__ import annotations

import json
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

import click

from taskwire_admin.admin import PORTS
from taskwire_cli.configured import current_settings
from taskwire_cli.connection import reachable_form
from taskwire_cli.exits import Exit, Stop
from taskwire_core.settings import AUTO, OFF

_ANSWERS_S = 4.0


@click.command()
@click.option(
    "--service",
    type=click.Choice(list(PORTS)),
    default="gateway",
    show_default=True,
    help="Whose port it is where TASKWIRE_ADMIN_LISTEN is auto.",
)
@click.option(
    "--address",
    metavar="HOST:PORT",
    help="The admin port's address. Default: that of TASKWIRE_ADMIN_LISTEN.",
)
def health(service: str, address: str | None) -> None:
    """Ask the admin port of a gateway, worker or keeper on this host whether it is ready.

    Exit code 0 means ready, 3 not ready, 4 that nobody answers.

    \b
    Examples:
      taskwire health
      taskwire health --service keeper
    """
    where = reachable_form(address or _configured(service))
    status, said = _ask(where)
    if status != HTTPStatus.OK:
        raise Stop(f"the service at {where} is not ready: {said}", Exit.REFUSED)
    print(said)


def _configured(service: str) -> str:
    listen = current_settings().admin_listen
    if listen == OFF:
        raise Stop("TASKWIRE_ADMIN_LISTEN is off, so there is nobody to ask; set it, or --address")
    return f"127.0.0.1:{PORTS[service]}" if listen == AUTO else listen


def _ask(where: str) -> tuple[int, str]:
    """The status of /readyz, and what it says in one line."""
    host, _, port = where.rpartition(":")
    try:
        with closing(HTTPConnection(host.strip("[]"), int(port), timeout=_ANSWERS_S)) as asked:
            asked.request("GET", "/readyz")
            answer = asked.getresponse()
            return answer.status, _in_words(answer.read().decode())
    except (OSError, HTTPException, ValueError) as error:
        raise Stop(
            f"no admin port answers at {where} ({error}); check that the service runs, and"
            " TASKWIRE_ADMIN_LISTEN",
            Exit.UNREACHABLE,
        ) from None


def _in_words(body: str) -> str:
    found = json.loads(body)
    return ", ".join(f"{name} {value}" for name, value in found.items())
