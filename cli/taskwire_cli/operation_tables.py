"""What people see of operations. Nothing here talks to a server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from google.longrunning import operations_pb2
from rich.table import Table
from rich.text import Text

from taskwire.v1 import bulk_task_service_pb2 as pb
from taskwire_cli.tables import add_row, on_one_line, task_code_name, time_text

_KINDS = {
    pb.BulkOperationMetadata.KIND_CANCEL: ("cancel", "cancelled"),
    pb.BulkOperationMetadata.KIND_RETRY: ("retry", "retried"),
    pb.BulkOperationMetadata.KIND_DELETE: ("delete", "deleted"),
}


def metadata_of(operation: operations_pb2.Operation) -> pb.BulkOperationMetadata:
    """How far the operation is; empty for one of a kind that this version does not know."""
    found = pb.BulkOperationMetadata()
    operation.metadata.Unpack(found)
    return found


def summary(operation: operations_pb2.Operation) -> str:
    """`49,998 retried, 2 skipped, 0 failed`."""
    found = metadata_of(operation)
    _, done = _KINDS.get(found.kind, ("", "dealt with"))
    skipped, failed = found.skipped_count, found.failed_count
    counts = f"{found.done_count} {done}, {skipped} skipped, {failed} failed"
    return f"{counts}; it was cancelled" if operation.HasField("error") else counts


def failure_lines(operation: operations_pb2.Operation) -> Iterator[str]:
    """A line for each failure that the operation remembers."""
    found = metadata_of(operation)
    for failure in found.failures:
        code = task_code_name(failure.status.code)
        yield f"  {failure.id}: {on_one_line(failure.status.message)} ({code})"
    left = found.failed_count - len(found.failures)
    if left:
        yield f"  and {left} more"


def operations_table(operations: Iterable[operations_pb2.Operation]) -> Table:
    """One row for each operation."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("OPERATION", no_wrap=True)
    for heading in ("BEGUN", "KIND", "STATE"):
        table.add_column(heading, no_wrap=True)
    table.add_column("DONE", justify="right", no_wrap=True)
    table.add_column("FILTER")
    for each in operations:
        found = metadata_of(each)
        kind, _ = _KINDS.get(found.kind, ("?", ""))
        done = f"{found.done_count} of {found.total_count or '?'}"
        begun = time_text(found.create_time)
        name = each.name.partition("/")[2]
        add_row(table, name, begun, kind, _state(each), done, found.filter)
    return table


def _state(operation: operations_pb2.Operation) -> Text:
    if not operation.done:
        return Text("working", style="cyan")
    if operation.HasField("error"):
        return Text("cancelled", style="magenta")
    return Text("done", style="green")
