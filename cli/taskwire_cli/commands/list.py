"""`taskwire list`: many tasks at a glance."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import click

from taskwire.client import Client
from taskwire_cli.connection import address_option, connected, json_option
from taskwire_cli.json_form import message_json, print_json
from taskwire_cli.list_tables import tasks_table
from taskwire_cli.tables import show
from taskwire_core.errors import InvalidRequest
from taskwire_core.filters import And, Field, Filter, Operator, Or, Term

_LIMIT = 50


@click.command()
@click.argument("filter", default="")
@click.option(
    "--order-by",
    type=click.Choice(["create_time desc", "create_time", "update_time desc"]),
    default="create_time desc",
    show_default=True,
    help="The newest first, the oldest first, or the last changed first.",
)
@click.option("--limit", type=click.IntRange(min=1), help=f"Show so many. Default: {_LIMIT}.")
@click.option("--all", "everything", is_flag=True, help="Show all that match.")
@click.option(
    "--page-size",
    type=click.IntRange(1, 1000),
    default=200,
    show_default=True,
    help="How many to ask the server for at a time.",
)
@json_option
@address_option
def list(  # noqa: A001  # What a person types.
    filter: str,
    order_by: str,
    limit: int | None,
    everything: bool,
    page_size: int,
    as_json: bool,
    address: str | None,
) -> None:
    """List tasks, those that match FILTER, or all.

    With --json each task is a line. docs/filters.md says what a filter can be.

    \b
    Examples:
      taskwire list
      taskwire list 'state = FAILED AND labels.customer = acme'
      taskwire list 'type:acme.images AND create_time > 2026-01-31T12:00:00Z' --all
      taskwire list 'state = RUNNING' --order-by create_time --limit 10
      taskwire list 'state = FAILED' --all --json | jq -r .id
    """
    if everything and limit:
        raise click.UsageError("--all and --limit exclude each other")
    most = None if everything else limit or _LIMIT
    # One more than is shown tells whether there are more.
    size = page_size if most is None else min(page_size, most + 1)
    with connected(address) as client:
        found = client.list_tasks(filter, order_by=order_by, page_size=size)
        if as_json:
            for task in islice(found, most):
                print_json(message_json(task, client.schema), one_line=True)
            return
        tasks = [*islice(found, None if most is None else most + 1)]
        if not tasks:
            print("No task matches." if filter else "There are no tasks.")
            for each in _unknown(client, filter):
                print(each)
            return
        show(tasks_table(tasks[:most]))
        if most is not None and len(tasks) > most:
            print(f"There are more than these {most}: see --limit and --all, or `taskwire count`.")


def _unknown(client: Client, filter: str) -> Iterator[str]:
    """A line for each type and queue that `filter` names and the server does not know."""
    # Imported here: only a list of nothing has a use for the parser.
    from taskwire_core.filters.parsing import parse

    try:
        named = dict.fromkeys(_named(parse(filter)))
    except InvalidRequest:  # A newer server takes filters that this version does not know.
        return
    for field, name in named:
        if name not in _known(client, field):
            yield f"The server has no {field} {name}; see: taskwire {field}s"


def _named(filter_: Filter) -> Iterator[tuple[str, str]]:
    """The field and the name of each type and queue that a task may have to match."""
    match filter_:
        case Term(Field.TYPE | Field.QUEUE, Operator.EQUAL, str(name)):
            yield filter_.field, name
        case And(parts) | Or(parts):
            for part in parts:
                yield from _named(part)


def _known(client: Client, field: str) -> set[str]:
    if field == "type":
        return {each.name for each in client.types()}
    return {each.name for each in client.queues.all()}
