"""`taskwire count`: how many tasks there are, in groups if wanted."""

from __future__ import annotations

import click

from taskwire_cli.connection import address_option, connected, json_option
from taskwire_cli.json_form import message_json, print_json
from taskwire_cli.list_tables import counts_table
from taskwire_cli.tables import show

_GROUPS = ("state", "type", "queue", "owner")


def _groups(context: click.Context, parameter: click.Parameter, value: str) -> list[str]:
    names = [name.strip() for name in value.split(",") if name.strip()]
    if unknown := [name for name in names if name not in _GROUPS]:
        raise click.BadParameter(f"{unknown[0]} is none of {', '.join(_GROUPS)}")
    return [*dict.fromkeys(names)]


@click.command()
@click.argument("filter", default="")
@click.option(
    "--by",
    metavar="NAMES",
    default="",
    callback=_groups,
    help="Count in groups: state, type, queue, owner, or several with commas between.",
)
@json_option
@address_option
def count(filter: str, by: list[str], as_json: bool, address: str | None) -> None:
    """Count tasks, those that match FILTER, or all.

    Counts by state, type, queue and owner are kept and cost nothing. Other filters look at tasks,
    and end with an error after 3 s.

    \b
    Examples:
      taskwire count
      taskwire count --by state,type
      taskwire count 'state = FAILED AND labels.customer = acme' --by type
    """
    with connected(address) as client:
        found = client.count_tasks(filter, by)
        if as_json:
            print_json(message_json(found, client.schema))
            return
        if by and found.groups:
            show(counts_table(by, found))
        print(f"{found.total_count:,} task{'' if found.total_count == 1 else 's'}")
