"""`taskwire watch`: a task, live, until its end."""

from __future__ import annotations

import click

from taskwire_cli.connection import address_option, connected, json_option
from taskwire_cli.exits import EXIT_CODES_HELP
from taskwire_cli.following import follow
from taskwire_cli.outcome import exit_code

_HELP = f"""Follow the task ID until it has ended.

A terminal shows a bar below the changes while an attempt runs; a file or a pipe gets lines only. A
lost connection is waited out, and the watch goes on where it was.

\b
Examples:
  taskwire watch 0199e1c2-7a55-7d0f-8000-0f8d7b1c2a11
  taskwire watch ID --json | jq -r '.task.state // empty'    one JSON message a line

{EXIT_CODES_HELP}
"""


@click.command(help=_HELP)
@click.argument("id")
@click.option(
    "--after-version",
    type=click.IntRange(min=0),
    default=0,
    help="Show only what came after this version of the task.",
)
@json_option
@address_option
def watch(id: str, after_version: int, as_json: bool, address: str | None) -> int:
    """Print every change until the end."""
    with connected(address) as client:
        return exit_code(follow(client, id, after_version=after_version, as_json=as_json))
