"""`taskwire cancel`: a task that is not wanted any more, or all that match a filter."""

from __future__ import annotations

import click

from taskwire.client import Client
from taskwire.v1 import task_pb2, task_service_pb2
from taskwire_cli.bulk import filter_options, one_of_both, show_bulk, wait_option
from taskwire_cli.connection import address_option, connected, json_option
from taskwire_cli.exits import Exit
from taskwire_cli.json_form import message_json, print_json
from taskwire_cli.tables import state_name


@click.command()
@click.argument("id", required=False)
@click.option("--reason", default="", help="Why; the task's record keeps it.")
@filter_options
@wait_option
@json_option
@address_option
def cancel(
    id: str | None,
    reason: str,
    filter_: str | None,
    force: bool,
    wait: bool,
    as_json: bool,
    address: str | None,
) -> int:
    """Cancel the task ID, or with --filter all tasks that match and have not ended.

    A waiting task never starts. A running one is told to stop and is CANCELLING until its handler
    does. An ended one stays as it is, which is no error.

    \b
    Examples:
      taskwire cancel 0199e1c2-7a55-7d0f-8000-0f8d7b1c2a11 --reason 'wrong picture'
      taskwire cancel --filter 'labels.customer = acme' --force --wait
    """
    one_of_both(id, filter_, force, wait)
    with connected(address) as client:
        if filter_ is not None:
            begun = client.bulk.cancel(filter_, reason=reason, force=force)
            return show_bulk(client, begun, "cancelled", wait=wait, as_json=as_json)
        _cancel_one(client, id or "", reason, as_json=as_json)
        return Exit.OK


def _cancel_one(client: Client, id: str, reason: str, *, as_json: bool) -> None:
    answer = client.cancel(id, reason)
    if as_json:
        task = message_json(answer.task, client.schema)
        print_json({"task": task, "effective": answer.effective})
    else:
        print(_sentence(answer))


def _sentence(answer: task_service_pb2.CancelTaskResponse) -> str:
    state = state_name(answer.task.state)
    if answer.task.state == task_pb2.TASK_STATE_CANCELLING:
        return f"{state}: the handler is told to stop; see: taskwire watch {answer.task.id}"
    if answer.effective:
        return f"{state}: it will never start."
    return f"{state}: it had ended already, so nothing was changed."
