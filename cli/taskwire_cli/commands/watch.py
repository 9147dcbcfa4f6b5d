"""`taskwire watch`: a task, live, until its end; or many, in one stream."""

from __future__ import annotations

import click

from taskwire_cli.connection import address_option, connected, json_option
from taskwire_cli.exits import WAITED_EXIT_CODES_HELP
from taskwire_cli.following import follow
from taskwire_cli.following_many import follow_many
from taskwire_cli.outcome import exit_code

_HELP = f"""Follow the task ID until it has ended; or several, or all that match a filter.

A terminal shows a bar below the changes of a single task while an attempt runs; a file or a pipe
gets lines only. Several tasks get a line for each change, and the watch ends when all have ended.
With --filter it never ends: a task that does not match any more is shown as "left". A lost
connection is waited out, and the watch goes on where it was.

\b
Examples:
  taskwire watch 0199e1c2-7a55-7d0f-8000-0f8d7b1c2a11
  taskwire watch ID --json | jq -r '.task.state // empty'    one JSON message a line
  taskwire watch --filter 'state = FAILED AND labels.customer = acme'
  taskwire watch --filter ''                                 every task

{WAITED_EXIT_CODES_HELP}
"""


@click.command(help=_HELP)
@click.argument("ids", metavar="[ID...]", nargs=-1)
@click.option("--filter", "text", help="Follow the tasks that match, for as long as you like.")
@click.option(
    "--after-version",
    type=click.IntRange(min=0),
    default=0,
    help="Of a single task: show only what came after this version of it.",
)
@json_option
@address_option
def watch(
    ids: tuple[str, ...], text: str | None, after_version: int, as_json: bool, address: str | None
) -> int:
    """Print every change until the end."""
    if (text is None) == (not ids):
        raise click.UsageError("name tasks by their ids, or choose them with --filter")
    single = len(ids) == 1
    if after_version and not single:
        raise click.UsageError("--after-version is for a single task")
    with connected(address) as client:
        if single:
            task = follow(client, ids[0], after_version=after_version, as_json=as_json)
            return exit_code(task)
        return follow_many(client, ids, text or "", as_json=as_json)
