"""`taskwire retry`: an ended task, submitted anew."""

from __future__ import annotations

import click
from google.protobuf.message import Message

from taskwire.client import Client
from taskwire.v1 import task_pb2
from taskwire_cli.bulk import filter_options, one_of_both, show_bulk
from taskwire_cli.connection import address_option, connected, json_option
from taskwire_cli.exits import WAITED_EXIT_CODES_HELP, Exit, Stop
from taskwire_cli.outcome import exit_code, print_task
from taskwire_cli.values import text_of

_HELP = f"""Submit the ended task ID anew, or with --filter all that match and have ended.

The new one has the type, the options, the labels and the input of the old one, which stays as it
is. So does its state: --filter 'state = FAILED' finds those already retried too, and retries them
again. Delete them, or narrow the filter by create_time.

\b
Examples:
  taskwire retry 0199e1c2-7a55-7d0f-8000-0f8d7b1c2a11
  taskwire retry ID --input '{{"dividend": 84, "divisor": 2}}' --wait
  taskwire retry --filter 'state = FAILED AND labels.customer = acme' --force --wait

{WAITED_EXIT_CODES_HELP}
"""


@click.command(help=_HELP)
@click.argument("id", required=False)
@click.option("--input", "json", metavar="JSON", help="Another input: text, @FILE, or -.")
@click.option("--request-id", help="Retrying again with the same id returns the first new task.")
@click.option(
    "--wait",
    is_flag=True,
    help="Wait for the new task's end and show its outcome; with --filter, show the progress.",
)
@filter_options
@json_option
@address_option
def retry(
    id: str | None,
    json: str | None,
    request_id: str | None,
    wait: bool,
    filter_: str | None,
    force: bool,
    as_json: bool,
    address: str | None,
) -> int:
    """Retry, and with --wait wait for the outcome."""
    one_of_both(id, filter_, force)
    if filter_ is not None and json is not None:
        raise click.UsageError("--input is for a single task")
    with connected(address) as client:
        if filter_ is not None:
            begun = client.bulk.retry(filter_, force=force, request_id=request_id)
            return show_bulk(client, begun, "retried", wait=wait, as_json=as_json)
        return _retry_one(client, id or "", json, request_id, wait=wait, as_json=as_json)


def _retry_one(
    client: Client,
    id: str,
    json: str | None,
    request_id: str | None,
    *,
    wait: bool,
    as_json: bool,
) -> Exit:
    other = None if json is None else _input(client, id, text_of(json))
    task = client.retry(id, other, request_id=request_id)
    if wait:
        task = client.wait(task.id)
    if as_json or wait:
        print_task(task, client.schema, as_json=as_json)
    else:
        print(f"{task.id}  submitted")
        print(f"Follow it with: taskwire watch {task.id}")
    return exit_code(task) if wait else Exit.OK


def _input(client: Client, task_id: str, json: str) -> Message:
    task_type = client.get(task_id, task_pb2.TASK_VIEW_BASIC).type
    try:
        return client.input_message(task_type, json)
    except ValueError as error:
        raise Stop(f"the JSON is not the input of {task_type}: {error}") from None
