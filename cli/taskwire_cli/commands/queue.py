"""`taskwire queue`: stop a queue, and let it go on."""

from __future__ import annotations

import click

from taskwire_cli.bulk import show_operation, wait_option
from taskwire_cli.connection import address_option, connected, json_option
from taskwire_cli.json_form import message_json, print_json
from taskwire_cli.queue_tables import pause_text


@click.group()
def queue() -> None:
    """Pause a queue, resume it, and purge it; `taskwire queues` lists them."""


@queue.command()
@click.argument("name")
@click.option("--reason", default="", help="Why; shown while the queue is paused.")
@json_option
@address_option
def pause(name: str, reason: str, as_json: bool, address: str | None) -> None:
    """Let no task of the queue NAME begin, until it is resumed.

    It goes on taking submissions, and what runs goes on. The pause outlives restarts.

    \b
    Example:
      taskwire queue pause taskwire.examples.v1.ImageTasks --reason 'bad deploy'
    """
    with connected(address) as client:
        answer = client.queues.pause(name, reason)
        if as_json:
            print_json(message_json(answer, client.schema))
        elif answer.effective:
            print(f"{name} is paused: {answer.queue.queued_count} queued tasks wait.")
        else:
            print(f"{name} was {pause_text(answer.queue)} already.")


@queue.command()
@click.argument("name")
@json_option
@address_option
def resume(name: str, as_json: bool, address: str | None) -> None:
    """Let the tasks of the queue NAME begin again.

    \b
    Example:
      taskwire queue resume taskwire.examples.v1.ImageTasks
    """
    with connected(address) as client:
        answer = client.queues.resume(name)
        if as_json:
            print_json(message_json(answer, client.schema))
        elif answer.effective:
            print(f"{name} goes on: {answer.queue.queued_count} queued tasks are dispatched.")
        else:
            print(f"{name} was not paused.")


@queue.command()
@click.argument("name")
@click.option("--reason", default="", help="Why; the tasks' records keep it.")
@click.option(
    "--force", is_flag=True, help="Do it. Otherwise only tell how many tasks it would be."
)
@wait_option
@json_option
@address_option
def purge(
    name: str, reason: str, force: bool, wait: bool, as_json: bool, address: str | None
) -> int:
    """Cancel your tasks that wait in the queue NAME; what runs goes on.

    \b
    Example:
      taskwire queue purge taskwire.examples.v1.ImageTasks --force --wait
    """
    with connected(address) as client:
        begun = client.queues.purge(name, reason, force=force)
        return show_operation(client, begun, wait=wait, as_json=as_json)
