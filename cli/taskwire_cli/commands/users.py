"""`taskwire users`: who owns tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click
from rich.table import Table

from taskwire.client import Client
from taskwire.v1 import user_pb2
from taskwire_cli.connection import address_option, connected, json_option
from taskwire_cli.json_form import message_json, print_json
from taskwire_cli.tables import add_row, show, time_text

Command = TypeVar("Command", bound=Callable[..., Any])


@click.group()
def users() -> None:
    """Look after the users who own tasks.

    USER is a username or an id. Nobody is authenticated yet: whoever can connect may call these,
    and acts as the user that the gateway's TASKWIRE_USER names.
    """


def _etag_option(command: Command) -> Command:
    return click.option(
        "--etag",
        default="",
        callback=lambda _context, _option, text: _quoted(text),
        help="Only if this is the user's present etag.",
    )(command)


@users.command("list")
@json_option
@address_option
def list_(as_json: bool, address: str | None) -> None:
    """List all users.

    \b
    Example:
      taskwire users list --json | jq -r '.[].email'
    """
    with connected(address) as client:
        found = list(client.users.list())
        if as_json:
            print_json([message_json(each, client.schema) for each in found])
        else:
            show(_table(found))


@users.command()
@click.argument("username")
@click.argument("email")
@click.option("--display-name", default="", help="The name to show.")
@click.option("--request-id", help="The same id and content return the user created before.")
@json_option
@address_option
def create(
    username: str,
    email: str,
    display_name: str,
    request_id: str | None,
    as_json: bool,
    address: str | None,
) -> None:
    """Create the user USERNAME with the address EMAIL.

    \b
    Example:
      taskwire users create ada ada@example.com --display-name 'Ada Lovelace'
    """
    with connected(address) as client:
        user = client.users.create(
            username, email, display_name=display_name, request_id=request_id
        )
        _print(client, user, as_json=as_json)


@users.command()
@click.argument("user")
@json_option
@address_option
def get(user: str, as_json: bool, address: str | None) -> None:
    """Show USER.

    \b
    Example:
      taskwire users get ada --json | jq -r .etag
    """
    with connected(address) as client:
        _print(client, client.users.named(user), as_json=as_json)


@users.command()
@click.argument("user")
@click.option("--username", help="Another username.")
@click.option("--email", help="Another e-mail address.")
@click.option("--display-name", help="Another name to show; '' takes it away.")
@_etag_option
@json_option
@address_option
def update(user: str, etag: str, as_json: bool, address: str | None, **fields: str | None) -> None:
    """Change USER; what is not given stays.

    \b
    Example:
      taskwire users update ada --email ada@example.org
    """
    values = {name: value for name, value in fields.items() if value is not None}
    if not values:
        raise click.UsageError("nothing to change: give --username, --email or --display-name")
    with connected(address) as client:
        wanted = user_pb2.User(id=client.users.named(user).id, etag=etag)
        for name, value in values.items():
            setattr(wanted, name, value)
        _print(client, client.users.update(wanted, *values), as_json=as_json)


@users.command()
@click.argument("user")
@_etag_option
@address_option
def delete(user: str, etag: str, address: str | None) -> None:
    """Delete USER, none of whose tasks may wait or run; ended ones are kept for their time.

    \b
    Example:
      taskwire users delete ada
    """
    with connected(address) as client:
        found = client.users.named(user)
        client.users.delete(found.id, etag=etag)
        print(f"{found.username} is deleted.")


def _quoted(etag: str) -> str:
    """An etag has quotes, which a shell takes away."""
    return f'"{etag}"' if etag and not etag.startswith('"') else etag


def _print(client: Client, user: user_pb2.User, *, as_json: bool) -> None:
    if as_json:
        print_json(message_json(user, client.schema))
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    for name, value in (
        ("id", user.id),
        ("username", user.username),
        ("email", user.email),
        ("display name", user.display_name),
        ("created", time_text(user.create_time)),
        ("changed", time_text(user.update_time)),
        ("etag", user.etag.strip('"')),
    ):
        if value:
            add_row(table, name, value)
    show(table)


def _table(users: Iterable[user_pb2.User]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("USERNAME", "EMAIL", "NAME", "CREATED", "ID"):
        table.add_column(heading, no_wrap=heading != "NAME")
    for user in users:
        created = time_text(user.create_time)
        add_row(table, user.username, user.email, user.display_name, created, user.id)
    return table
