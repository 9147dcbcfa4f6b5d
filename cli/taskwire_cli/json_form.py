"""Messages as JSON for programs: protobuf's own JSON form, payloads of any type included."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from google.protobuf import json_format
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError, Message
from google.rpc import status_pb2

from taskwire.client import Schema, UnknownName
from taskwire.v1 import task_pb2

_ANY = AnyMessage.DESCRIPTOR.full_name
_STATUS = status_pb2.Status.DESCRIPTOR.full_name
_TASK = task_pb2.Task.DESCRIPTOR.full_name

Json = dict[str, Any]  # what json.dumps takes


def message_json(message: Message, schema: Schema) -> Json:
    """Any message, with the messages in its Any fields spelled out, and those in theirs.

    One whose type the server's reflection does not show is left out, as the server itself does,
    and the task that it belongs to has `payloadUnavailable`. It is empty in a message of others.
    """
    shown = type(message)()
    shown.CopyFrom(message)
    _empty_unknown(shown, schema)
    found: Json = json_format.MessageToDict(shown, descriptor_pool=schema.pool)
    return found


def unpack(payload: AnyMessage, schema: Schema) -> Message:
    """The message in `payload`, of the class that the server's reflection describes."""
    return schema.message(payload.TypeName()).FromString(payload.value)


def print_json(value: object, *, one_line: bool = False) -> None:
    """Print `value` as JSON, on one line in a stream of several."""
    print(json.dumps(value, ensure_ascii=False, indent=None if one_line else 2), flush=True)


# Any: a message within an Any is of the class that reflection describes, not of the generated one.
def _empty_unknown(message: Any, schema: Schema) -> bool:
    """Empty each Any within `message` that cannot be read; whether it still has to be said."""
    name = message.DESCRIPTOR.full_name
    if name == _ANY:
        return _empty_if_unknown(message, schema)
    found = sum(_empty_unknown(each, schema) for each in _messages_in(message)) > 0
    if name == _STATUS:
        details = [each for each in message.details if each.ByteSize()]
        del message.details[:]
        message.details.extend(details)
        return False
    if name == _TASK and found:
        for field in ("input", "result"):
            if not getattr(message, field).ByteSize():
                message.ClearField(field)
        message.payload_unavailable = True
        return False
    return found


def _empty_if_unknown(payload: Any, schema: Schema) -> bool:
    if not payload.ByteSize():
        return False
    try:
        # To look for a type is to learn it.
        within = schema.message(payload.type_url.rpartition("/")[2]).FromString(payload.value)
    except (UnknownName, DecodeError):
        payload.Clear()
        return True
    found = _empty_unknown(within, schema)
    payload.value = within.SerializePartialToString()
    return found


def _messages_in(message: Message) -> Iterator[Message]:
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            yield from (each for each in value.values() if isinstance(each, Message))
        elif field.is_repeated:
            yield from value
        else:
            yield value
