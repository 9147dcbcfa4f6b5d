"""What people see of queues. Nothing here talks to a server."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from taskwire.v1 import queue_service_pb2 as pb
from taskwire_cli.tables import add_row, duration_text, on_one_line, time_text

_NUMBERS = ("QUEUED", "OLDEST", "LATER", "RUNNING", "WORKERS", "SLOTS", "IN/MIN", "DONE/MIN")


def queues_table(queues: Iterable[pb.Queue]) -> Table:
    """One row for each queue."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("QUEUE", no_wrap=True)
    for heading in (*_NUMBERS, "FAILED/MIN"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for each in queues:
        add_row(table, each.name, *_numbers(each), pause_text(each))
    return table


def pause_text(queue: pb.Queue) -> Text:
    """`paused by dev: bad deploy`; empty when it is not paused."""
    if not queue.HasField("pause"):
        return Text()
    pause = queue.pause
    why = f": {pause.reason}" if pause.reason else ""
    text = f"paused by {pause.paused_by} at {time_text(pause.pause_time)}{why}"
    return Text(on_one_line(text), style="yellow")


def _numbers(queue: pb.Queue) -> Iterable[str]:
    yield str(queue.queued_count)
    yield duration_text(queue.oldest_due_age) if queue.HasField("oldest_due_age") else "-"
    yield str(queue.scheduled_count + queue.retrying_count)
    yield str(queue.running_count)
    yield str(queue.live_workers)
    yield str(queue.slots)
    for rate in (queue.rates.submitted, queue.rates.succeeded, queue.rates.failed):
        yield f"{rate * 60:.0f}"
