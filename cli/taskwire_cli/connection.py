"""The connection of a command to a gateway: where it is, and what a failure to reach it says."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click

from taskwire.client import Client, ClientError
from taskwire_cli.configured import current_settings
from taskwire_cli.exits import Exit, Stop
from taskwire_cli.refusals import stop_for

_CONNECT_S = 5.0

Command = TypeVar("Command", bound=Callable[..., Any])


def address_option(command: Command) -> Command:
    """Adds `--address`."""
    return click.option(
        "--address",
        "-a",
        metavar="HOST:PORT",
        help="The gateway's address. Default: TASKWIRE_LISTEN, else 127.0.0.1:50051.",
    )(command)


def json_option(command: Command) -> Command:
    """Adds `--json`."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print JSON, for programs, and nothing else."
    )(command)


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[Client]:
    """A client that has reached its server; errors of calls inside the block end the command."""
    target = reachable_form(address or current_settings().listen)
    with Client(target) as client:
        if not client.is_reachable(_CONNECT_S):
            raise Stop(
                f"no taskwire answers at {target}; start one with `taskwire dev`, or name another"
                " address with --address or TASKWIRE_LISTEN",
                Exit.UNREACHABLE,
            )
        try:
            yield client
        except ClientError as error:
            raise stop_for(error, target) from error


def reachable_form(listen: str) -> str:
    """The address to connect to for a server that listens on `listen`.

    A server that listens on every address of its host is reached by the host's own one.
    """
    host, _, port = listen.rpartition(":")
    own = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]", "*": "127.0.0.1"}  # noqa: S104  # compared only
    return f"{own.get(host, host)}:{port}"
