"""`taskwire events`: what has become of one task, step by step."""

from __future__ import annotations

import click

from taskwire_cli.connection import address_option, connected, json_option
from taskwire_cli.json_form import message_json, print_json
from taskwire_cli.list_tables import events_table
from taskwire_cli.tables import show


@click.command()
@click.argument("id")
@json_option
@address_option
def events(id: str, as_json: bool, address: str | None) -> None:
    """Show every transition of the task ID, the oldest first: when, who, and why.

    With --json each is a line.

    \b
    Examples:
      taskwire events 0199e1c2-7a55-7d0f-8000-0f8d7b1c2a11
      taskwire events ID --json | jq -r .state
    """
    with connected(address) as client:
        found = client.list_task_events(id, page_size=1000)
        if as_json:
            for event in found:
                print_json(message_json(event, client.schema), one_line=True)
        else:
            show(events_table(found))
