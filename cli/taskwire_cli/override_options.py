"""The options of `taskwire submit` that replace those of its task type."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import click

from taskwire.v1 import options_pb2
from taskwire_cli.values import Duration

Command = TypeVar("Command", bound=Callable[..., Any])

_PRIORITIES = {
    "low": options_pb2.PRIORITY_LOW,
    "normal": options_pb2.PRIORITY_NORMAL,
    "high": options_pb2.PRIORITY_HIGH,
}
_OPTIONS = (
    click.option("--priority", type=click.Choice(list(_PRIORITIES)), help="Within its queue."),
    click.option("--queue", help="Another queue than its type's."),
    click.option("--max-attempts", type=int, help="The most attempts, the first one included."),
    click.option(
        "--attempt-timeout",
        type=Duration(),
        help="The longest that one attempt may take, such as 30s.",
    ),
    click.option(
        "--total-timeout", type=Duration(), help="From when it is due to its end, such as 2h."
    ),
)


def override_options(command: Command) -> Command:
    """Adds the options, which are the arguments of `overrides`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def overrides(
    *,
    priority: str | None,
    queue: str | None,
    max_attempts: int | None,
    attempt_timeout: timedelta | None,
    total_timeout: timedelta | None,
) -> options_pb2.TaskOverrides | None:
    """What was asked for; None for nothing, so that the type's own options hold."""
    made = options_pb2.TaskOverrides(
        queue=queue, priority=_PRIORITIES[priority] if priority else None
    )
    if max_attempts is not None:
        made.retry.max_attempts = max_attempts
    if attempt_timeout is not None:
        made.attempt_timeout.FromTimedelta(attempt_timeout)
    if total_timeout is not None:
        made.total_timeout.FromTimedelta(total_timeout)
    return made if made.ByteSize() else None
