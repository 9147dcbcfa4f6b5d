"""Messages as JSON for programs: protobuf's own JSON form, payloads of any type included."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from google.longrunning.operations_pb2 import Operation
from google.protobuf import json_format
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import status_pb2

from taskwire.client import Schema
from taskwire.v1 import task_pb2

_ERROR_INFO = "google.rpc.ErrorInfo"

Json = dict[str, Any]  # what json.dumps takes


def task_json(task: task_pb2.Task, schema: Schema) -> Json:
    """The task with its input, result and error details spelled out.

    A payload whose type the server's reflection does not show is left out, as the server
    itself does, with `payloadUnavailable`.
    """
    shown = task_pb2.Task()
    shown.CopyFrom(task)
    for field in ("input", "result"):
        if shown.HasField(field) and not _readable(getattr(shown, field), schema):
            shown.ClearField(field)
            shown.payload_unavailable = True
    for error in _errors(shown):
        _keep_readable(error.status, schema)
    return message_json(shown, schema)


def status_json(status: status_pb2.Status, schema: Schema) -> Json:
    """An error status with those of its details that reflection shows."""
    shown = status_pb2.Status()
    shown.CopyFrom(status)
    _keep_readable(shown, schema)
    return message_json(shown, schema)


def _keep_readable(status: status_pb2.Status, schema: Schema) -> None:
    details = [each for each in status.details if _readable(each, schema)]
    del status.details[:]
    status.details.extend(details)


def message_json(message: Message, schema: Schema) -> Json:
    """Any message; the types of the Any messages in it must be known to `schema`."""
    found: Json = json_format.MessageToDict(message, descriptor_pool=schema.pool)
    return found


def operation_json(operation: Operation, schema: Schema) -> Json:
    """The operation with its metadata, its failures and its outcome spelled out."""
    # To look for a type is to learn it.
    for name in (operation.metadata.TypeName(), operation.response.TypeName(), _ERROR_INFO):
        schema.knows(name)
    return message_json(operation, schema)


def unpack(payload: AnyMessage, schema: Schema) -> Message:
    """The message in `payload`, of the class that the server's reflection describes."""
    return schema.message(payload.TypeName()).FromString(payload.value)


def print_json(value: object, *, one_line: bool = False) -> None:
    """Print `value` as JSON, on one line in a stream of several."""
    print(json.dumps(value, ensure_ascii=False, indent=None if one_line else 2), flush=True)


def _errors(task: task_pb2.Task) -> Iterator[task_pb2.TaskError]:
    if task.HasField("error"):
        yield task.error
    for attempt in task.attempts:
        if attempt.HasField("error"):
            yield attempt.error


def _readable(payload: AnyMessage, schema: Schema) -> bool:
    return schema.knows(payload.TypeName())
