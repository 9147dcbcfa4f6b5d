"""`taskwire delete`: ended tasks that need not be kept."""

from __future__ import annotations

import click

from taskwire.client import CallFailed, Client, Unreachable
from taskwire_cli.bulk import filter_options, one_of_both, show_bulk, wait_option
from taskwire_cli.connection import address_option, connected, json_option
from taskwire_cli.exits import Exit, Stop
from taskwire_cli.refusals import stop_for


@click.command()
@click.argument("ids", metavar="[ID...]", nargs=-1)
@filter_options
@wait_option
@json_option
@address_option
def delete(
    ids: tuple[str, ...],
    filter_: str | None,
    force: bool,
    wait: bool,
    as_json: bool,
    address: str | None,
) -> int:
    """Delete the ended tasks ID..., or with --filter all that match and have ended.

    Each goes with its input, its result and its history. A task that has not ended stays: cancel it
    first. What cannot be deleted is named, and the others are deleted all the same. --json is for
    --filter.

    \b
    Examples:
      taskwire delete 0199e1c2-7a55-7d0f-8000-0f8d7b1c2a11
      taskwire delete --filter 'state = SUCCEEDED AND queue = mails' --force --wait
    """
    one_of_both(ids, filter_, force, wait)
    with connected(address) as client:
        if filter_ is not None:
            begun = client.bulk.delete(filter_, force=force)
            return show_bulk(client, begun, "deleted", wait=wait, as_json=as_json)
        _delete_each(client, ids)
        return Exit.OK


def _delete_each(client: Client, ids: tuple[str, ...]) -> None:
    refused = []
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
