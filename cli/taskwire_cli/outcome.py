"""What commands do with a task that they have read: print it, write its bytes, answer for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import click

from taskwire.client import Schema, ended
from taskwire.v1 import task_pb2
from taskwire_cli.bytes_fields import bytes_at
from taskwire_cli.exits import Exit
from taskwire_cli.json_form import message_json, print_json, unpack
from taskwire_cli.tables import show, task_table
from taskwire_cli.values import Pair, check_writable, write_file

Command = TypeVar("Command", bound=Callable[..., Any])


def output_option(command: Command) -> Command:
    """Adds `--output FIELD=FILE`, whose files can be written as far as it can be told before."""
    return click.option(
        "--output",
        "-o",
        type=Pair("image=small.png"),
        metavar="FIELD=FILE",
        multiple=True,
        callback=_writable,
        help="Write a bytes field of the result into a file. May be repeated.",
    )(command)


def _writable(
    _context: click.Context, _option: click.Parameter, outputs: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, str], ...]:
    for _, file in outputs:
        check_writable(file)
    return outputs


def print_task(task: task_pb2.Task, schema: Schema, *, as_json: bool) -> None:
    """The task for people, or with `as_json` for programs; that nobody reads it is no error."""
    shown = message_json(task, schema)
    # What the command has still to do, its files and its exit code, does not depend on a reader.
    with suppress(BrokenPipeError):
        if as_json:
            print_json(shown)
        else:
            show(task_table(task, shown))


def write_outputs(task: task_pb2.Task, outputs: Sequence[tuple[str, str]], schema: Schema) -> None:
    """Write each bytes field of the result into its file; nothing when there is no result.

    Raises:
        click.UsageError: there is no such field.
        Stop: the result has no such element, or a file cannot be written.
    """
    if not outputs or not task.HasField("result"):
        return
    result = unpack(task.result, schema)
    contents = [(file, bytes_at(result, field)) for field, file in outputs]
    for file, content in contents:
        write_file(file, content)


def exit_code(task: task_pb2.Task) -> Exit:
    """What a command answers that has waited for the task."""
    if not ended(task):
        return Exit.NOT_ENDED
    return Exit.OK if task.state == task_pb2.TASK_STATE_SUCCEEDED else Exit.TASK_FAILED
