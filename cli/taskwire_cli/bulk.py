"""Commands that do the same to many tasks: what they would do, and an operation to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click
from google.longrunning import operations_pb2
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TimeRemainingColumn,
)

from taskwire.client import Client
from taskwire.v1 import bulk_task_service_pb2 as pb
from taskwire_cli.exits import Exit
from taskwire_cli.json_form import message_json, print_json
from taskwire_cli.operation_tables import failure_lines, metadata_of, summary
from taskwire_cli.tables import console

Command = TypeVar("Command", bound=Callable[..., Any])
Begun = pb.BulkPreview | operations_pb2.Operation

_HELP = {
    "filter": "Not one task but all that match, such as 'state = FAILED AND queue = mails'.",
    "force": "With --filter: do it. Otherwise only tell how many tasks it would be.",
    "wait": "Show the progress of what was begun for all of them, until its end.",
}


def filter_options(command: Command) -> Command:
    """Adds `--filter` and `--force`."""
    command = click.option("--force", is_flag=True, help=_HELP["force"])(command)
    return click.option("--filter", "filter_", metavar="FILTER", help=_HELP["filter"])(command)


def wait_option(command: Command) -> Command:
    """Adds `--wait`, where a command has none for single tasks."""
    return click.option("--wait", is_flag=True, help=_HELP["wait"])(command)


def one_of_both(ids: object, filter_: str | None, *bulk_only: bool) -> None:
    """Refuse a command line that names neither tasks nor a filter, or both.

    `bulk_only` are options that say nothing of a single task.
    """
    if bool(ids) == (filter_ is not None):
        raise click.UsageError("name a task by its ID, or several by --filter")
    if filter_ is None and any(bulk_only):
        raise click.UsageError("--force and --wait go with --filter")


def show_bulk(client: Client, begun: Begun, verb: str, *, wait: bool, as_json: bool) -> Exit:
    """What would be done or is done now; `verb` is its past participle, such as "cancelled"."""
    if isinstance(begun, pb.BulkPreview):
        if as_json:
            print_json(message_json(begun, client.schema))
        else:
            print("\n".join(_preview_lines(begun, verb)))
        return Exit.OK
    return show_operation(client, begun, wait=wait, as_json=as_json)


def show_operation(
    client: Client, begun: operations_pb2.Operation, *, wait: bool, as_json: bool
) -> Exit:
    """The operation, with `wait` at its end; the exit code says whether all went well."""
    found = _followed(client, begun, quiet=as_json) if wait else begun
    if as_json:
        print_json(message_json(found, client.schema))
    elif wait:
        print("\n".join([summary(found), *failure_lines(found)]))
    else:
        print(f"{found.name}: {metadata_of(found).total_count or 'the'} tasks have their turn now.")
        print(f"Follow it with: taskwire operations wait {found.name.partition('/')[2]}")
    if not wait:
        return Exit.OK
    failed = found.HasField("error") or metadata_of(found).failed_count
    return Exit.TASK_FAILED if failed else Exit.OK


def _preview_lines(preview: pb.BulkPreview, verb: str) -> Iterator[str]:
    if not preview.task_count:
        yield "No task matches."
        return
    tasks = "task" if preview.task_count == 1 else "tasks"
    yield f"{preview.task_count} {tasks} would be {verb}:"
    yield from (f"  {task_id}" for task_id in preview.sample)
    left = preview.task_count - len(preview.sample)
    if left:
        yield f"  and {left} more"
    yield "Add --force to do it."


def _followed(
    client: Client, begun: operations_pb2.Operation, *, quiet: bool
) -> operations_pb2.Operation:
    """The operation at its end, its progress shown meanwhile where there is a terminal."""
    on = console()
    bar = Progress(
        MofNCompleteColumn(separator=" of "),
        BarColumn(bar_width=40),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=on,
        transient=True,
        disable=quiet or not on.is_terminal,
    )
    found = begun
    with bar:
        row = bar.add_task("", total=metadata_of(begun).total_count or None)
        for found in client.operations.follow(begun.name):
            metadata = metadata_of(found)
            dealt_with = metadata.done_count + metadata.skipped_count + metadata.failed_count
            bar.update(row, completed=dealt_with)
    return found
