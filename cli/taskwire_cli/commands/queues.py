"""`taskwire queues`: where tasks wait, how long, and who works on them."""

from __future__ import annotations

import click

from taskwire_cli.connection import address_option, connected, json_option
from taskwire_cli.json_form import message_json, print_json
from taskwire_cli.queue_tables import queues_table
from taskwire_cli.tables import show


@click.command()
@json_option
@address_option
def queues(address: str | None, as_json: bool) -> None:
    """List the queues: what waits, how long, who works, and how fast.

    QUEUED tasks are due and wait for a worker; OLDEST is how long. LATER ones wait for their time,
    or for their next attempt. SLOTS are how many can run at the same time on the WORKERS. The last
    three columns are tasks per minute, over the last minute.

    \b
    Examples:
      taskwire queues
      taskwire queues --json | jq -r '.[] | select(.pause) | .name'
    """
    with connected(address) as client:
        found = list(client.queues.all())
        if as_json:
            print_json([message_json(each, client.schema) for each in found])
        elif found:
            show(queues_table(found))
        else:
            print("There is no queue yet: the server has loaded no contracts.")
