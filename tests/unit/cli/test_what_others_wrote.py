"""What other people wrote is shown as it is: no markup of rich's, and no command to a terminal."""

from __future__ import annotations

import pytest
from google.longrunning import operations_pb2
from google.rpc import status_pb2
from rich.table import Table

from taskwire.v1 import bulk_task_service_pb2, queue_service_pb2, task_pb2, user_pb2
from taskwire.v1 import task_service_pb2 as pb
from taskwire_cli import list_tables, operation_tables, queue_tables, tables
from taskwire_cli.commands import users

FOREIGN = "see [/etc/hosts] [red] :smile: \x1b[2Ja\x9bb\rc"
SHOWN = "see [/etc/hosts] [red] :smile:  [2Ja b c"


def task() -> task_pb2.Task:
    made = task_pb2.Task(id="t", labels={"customer": FOREIGN}, cancel_requested=True)
    made.cancel_reason = FOREIGN
    made.error.status.CopyFrom(status_pb2.Status(code=3, message=FOREIGN))
    made.error.stack_trace = f"Traceback\n  {FOREIGN}\n"
    return made


def operation() -> operations_pb2.Operation:
    made = operations_pb2.Operation(name="operations/o")
    made.metadata.Pack(bulk_task_service_pb2.BulkOperationMetadata(filter=FOREIGN))
    return made


def queue() -> queue_service_pb2.Queue:
    pause = queue_service_pb2.QueuePause(reason=FOREIGN, paused_by="ops")
    return queue_service_pb2.Queue(name="q", pause=pause)


@pytest.mark.parametrize(
    ("table", "times"),
    [
        (tables.task_table(task(), {"input": {"flags": [True], "text": FOREIGN}}), 4),
        (tables.types_table([pb.TaskType(name="a.B/C", description=FOREIGN)]), 1),
        (list_tables.tasks_table([task()]), 1),
        (list_tables.events_table([pb.TaskEvent(actor=FOREIGN, message=FOREIGN)]), 2),
        (operation_tables.operations_table([operation()]), 1),
        (queue_tables.queues_table([queue()]), 1),
        (users._table([user_pb2.User(username="eve", display_name=FOREIGN)]), 1),
    ],
    ids=["task", "types", "tasks", "events", "operations", "queues", "users"],
)
def test_no_cell_is_obeyed(table: Table, times: int, capsys: pytest.CaptureFixture[str]) -> None:
    tables.show(table)

    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\x9b" not in shown
    assert shown.count(SHOWN) == times, shown


def test_a_list_in_an_input_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    tables.show(tables.task_table(task_pb2.Task(), {"input": {"flags": [True, False]}}))

    assert '{"flags": [true, false]}' in capsys.readouterr().out


def test_a_trace_keeps_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    made = task_pb2.Task()
    made.error.stack_trace = "Traceback\n  first\n  second\n"
    tables.show(tables.task_table(made, {}))

    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()[-3:]] == [
        "Traceback",
        "first",
        "second",
    ]
