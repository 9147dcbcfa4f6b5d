"""What people see of many tasks, of counts, and of a task's history. Nothing here talks to a
server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Table

from taskwire.v1 import task_pb2
from taskwire.v1 import task_service_pb2 as pb
from taskwire_cli.tables import add_row, state_text, time_text


def tasks_table(tasks: Iterable[task_pb2.Task]) -> Table:
    """One row for each task."""
    table = _table("ID", "TYPE", "STATE", "ATTEMPT", "CREATED", "CHANGED", "LABELS")
    for task in tasks:
        labels = " ".join(f"{key}={task.labels[key]}" for key in sorted(task.labels))
        add_row(
            table,
            task.id,
            task.type,
            state_text(task.state),
            str(task.attempt),
            time_text(task.create_time),
            time_text(task.update_time),
            labels,
        )
    return table


def counts_table(by: Sequence[str], counts: pb.CountTasksResponse) -> Table:
    """One row for each group, the greatest first."""
    table = _table(*(name.upper() for name in by), "COUNT")
    for group in counts.groups:
        add_row(table, *group.values, f"{group.count:,}")
    return table


def events_table(events: Iterable[pb.TaskEvent]) -> Table:
    """One row for each transition."""
    table = _table("VERSION", "TIME", "STATE", "ATTEMPT", "BY", "WHY")
    for event in events:
        add_row(
            table,
            str(event.version),
            time_text(event.event_time),
            state_text(event.state),
            str(event.attempt),
            event.actor or "taskwire",
            event.message,
        )
    return table


_NUMBERS = ("ATTEMPT", "COUNT", "VERSION")


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        right = heading in _NUMBERS
        # A value is there to be copied: it may break the table, but not be cut.
        table.add_column(heading, justify="right" if right else "left", no_wrap=True)
    return table
