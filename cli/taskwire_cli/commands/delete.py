"""`taskwire delete`: ended tasks that need not be kept."""

from __future__ import annotations

import click

from taskwire.client import CallFailed, Unreachable
from taskwire_cli.connection import address_option, connected
from taskwire_cli.exits import Exit, Stop, stop_for


@click.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@address_option
def delete(ids: tuple[str, ...], address: str | None) -> None:
    """Delete the ended tasks ID..., each with its input, its result and its history.

    A task that has not ended stays: cancel it first. What cannot be deleted is named, and the
    others are deleted all the same.

    \b
    Example:
      taskwire delete 0199e1c2-7a55-7d0f-8000-0f8d7b1c2a11
    """
    refused = []
    with connected(address) as client:
        for task_id in dict.fromkeys(ids):
            try:
                client.delete(task_id)
            except Unreachable:
                raise
            except CallFailed as error:
                refused.append(f"{task_id}: {stop_for(error, client.target)}")
            else:
                print(f"{task_id}  deleted")
    if refused:
        raise Stop("; ".join(refused), Exit.REFUSED)
