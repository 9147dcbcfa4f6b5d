"""`taskwire run`: a waiting task that shall not wait any longer."""

from __future__ import annotations

import click

from taskwire_cli.connection import address_option, connected, json_option
from taskwire_cli.json_form import message_json, print_json


@click.command()
@click.argument("id")
@json_option
@address_option
def run(id: str, as_json: bool, address: str | None) -> None:
    """Make the waiting task ID due now, whatever time or backoff it waits for.

    Its queue may still be paused, and its workers busy: `taskwire get ID` says what it waits for.

    \b
    Example:
      taskwire run 0199e1c2-7a55-7d0f-8000-0f8d7b1c2a11
    """
    with connected(address) as client:
        answer = client.run(id)
        if as_json:
            task = message_json(answer.task, client.schema)
            print_json({"task": task, "effective": answer.effective})
        elif answer.effective:
            print("QUEUED: it is due now.")
        else:
            print("QUEUED: it was due already.")
