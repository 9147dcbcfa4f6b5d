"""`taskwire operations`: what was begun for many tasks, and how far it is."""

from __future__ import annotations

import click

from taskwire_cli.bulk import show_operation
from taskwire_cli.connection import address_option, connected, json_option
from taskwire_cli.json_form import message_json, print_json
from taskwire_cli.operation_tables import failure_lines, operations_table, summary
from taskwire_cli.tables import show


@click.group()
def operations() -> None:
    """Look after operations: what `queue purge`, or --filter of `cancel`, `retry` and `delete`, has
    begun."""


@operations.command("list")
@json_option
@address_option
def list_(as_json: bool, address: str | None) -> None:
    """List your operations, the newest first; records are kept for 7 days.

    \b
    Example:
      taskwire operations list
    """
    with connected(address) as client:
        found = list(client.operations.all())
        if as_json:
            print_json([message_json(each, client.schema) for each in found])
        elif found:
            show(operations_table(found))
        else:
            print("There is no operation.")


@operations.command()
@click.argument("id")
@json_option
@address_option
def get(id: str, as_json: bool, address: str | None) -> None:
    """Show how far the operation ID is, and the first of its failures.

    \b
    Example:
      taskwire operations get 0199e1c2-7a55-7d0f-8000-0f8d7b1c2a11
    """
    with connected(address) as client:
        found = client.operations.get(id)
        if as_json:
            print_json(message_json(found, client.schema))
            return
        show(operations_table([found]))
        print("\n".join([summary(found), *failure_lines(found)]))


@operations.command()
@click.argument("id")
@address_option
def cancel(id: str, address: str | None) -> None:
    """Do no more of the operation ID; what it has done stays.

    \b
    Example:
      taskwire operations cancel 0199e1c2-7a55-7d0f-8000-0f8d7b1c2a11
    """
    with connected(address) as client:
        client.operations.cancel(id)
        print(summary(client.operations.get(id)))


@operations.command()
@click.argument("id")
@json_option
@address_option
def wait(id: str, as_json: bool, address: str | None) -> int:
    """Show the progress of the operation ID until its end, across restarts of the server.

    The exit code is 1 when it was cancelled, or when some tasks could not be dealt with.

    \b
    Example:
      taskwire operations wait 0199e1c2-7a55-7d0f-8000-0f8d7b1c2a11
    """
    with connected(address) as client:
        found = client.operations.get(id)
        return show_operation(client, found, wait=True, as_json=as_json)
