"""`taskwire watch`: a task, live, until its end."""

from __future__ import annotations

import sys

import click

from taskwire.client import Client
from taskwire.v1 import task_pb2
from taskwire_cli.connection import address_option, connected, json_option
from taskwire_cli.exits import EXIT_CODES_HELP, Exit, Stop
from taskwire_cli.json_form import message_json, print_json, task_json
from taskwire_cli.live import Screen
from taskwire_cli.outcome import exit_code

_HELP = f"""Follow the task ID until it has ended.

A lost connection is waited out, and the watch goes on where it was.

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
        follow = _print_json if as_json else _show
        task = follow(client, id, after_version)
        if task is None:
            raise Stop(f"the task {id} was deleted before its end was seen", Exit.REFUSED)
        return exit_code(task)


def _print_json(client: Client, id: str, after_version: int) -> task_pb2.Task | None:
    last = None
    for event in client.watch(id, after_version=after_version, on_interruption=_tell):
        if event.WhichOneof("kind") == "task":
            last = event.task
            print_json({"task": task_json(event.task, client.schema)}, one_line=True)
        else:
            print_json(message_json(event, client.schema), one_line=True)
    return last or _ended_before(client, id, after_version)


def _show(client: Client, id: str, after_version: int) -> task_pb2.Task | None:
    last = None
    with Screen() as screen:
        for event in client.watch(
            id, after_version=after_version, on_interruption=screen.interrupted
        ):
            match event.WhichOneof("kind"):
                case "task":
                    last = event.task
                    screen.changed(event.task, task_json(event.task, client.schema))
                case "progress":
                    screen.progressed(event.progress.progress)
                case "heartbeat":
                    screen.waits(event.heartbeat.pending_reason)
    return last or _ended_before(client, id, after_version)


def _ended_before(client: Client, id: str, after_version: int) -> task_pb2.Task | None:
    """With --after-version the end itself may be what the caller has seen already."""
    return client.get(id, task_pb2.TASK_VIEW_BASIC) if after_version else None


def _tell(problem: str) -> None:
    print(f"taskwire: the watch was interrupted ({problem}); resuming", file=sys.stderr)
