"""`taskwire get`: one task as it is now."""

from __future__ import annotations

import click

from taskwire.v1 import task_pb2
from taskwire_cli.connection import address_option, connected, json_option
from taskwire_cli.exits import Exit, Stop
from taskwire_cli.outcome import output_option, print_task, write_outputs

_VIEWS = {
    "basic": task_pb2.TASK_VIEW_BASIC,
    "outcome": task_pb2.TASK_VIEW_OUTCOME,
    "full": task_pb2.TASK_VIEW_FULL,
}


@click.command()
@click.argument("id")
@click.option(
    "--view",
    type=click.Choice(list(_VIEWS)),
    default="full",
    show_default=True,
    help="How much of the task to read.",
)
@output_option
@json_option
@address_option
def get(
    id: str, view: str, output: tuple[tuple[str, str], ...], as_json: bool, address: str | None
) -> None:
    """Show the task ID: its state, why it waits, its result or error.

    \b
    Examples:
      taskwire get 0199e1c2-7a55-7d0f-8000-0f8d7b1c2a11
      taskwire get ID --output image=small.png    a bytes field of its result into a file
      taskwire get ID --json | jq -r .state
    """
    if output and view == "basic":
        raise click.UsageError("--view basic reads no result that --output could write")
    with connected(address) as client:
        task = client.get(id, _VIEWS[view])
        print_task(task, client.schema, as_json=as_json)
        write_outputs(task, output, client.schema)
        if output and not task.HasField("result"):
            raise Stop("there is no result that --output could write", Exit.REFUSED)
