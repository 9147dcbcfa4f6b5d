"""`taskwire types`: what can be submitted."""

from __future__ import annotations

import click

from taskwire_cli.connection import address_option, connected, json_option
from taskwire_cli.json_form import message_json, print_json
from taskwire_cli.tables import show, types_table


@click.command()
@json_option
@address_option
def types(address: str | None, as_json: bool) -> None:
    """List the task types that the server knows.

    \b
    Examples:
      taskwire types
      taskwire types --json | jq -r '.[].name'
    """
    with connected(address) as client:
        found = list(client.types())
        if as_json:
            print_json([message_json(each, client.schema) for each in found])
        elif found:
            show(types_table(found))
        else:
            print("The server has loaded no contracts: set TASKWIRE_CONTRACTS.")
