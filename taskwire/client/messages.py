"""Messages in the form that requests take them in."""

from __future__ import annotations

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message


def packed(message: Message) -> Any:
    """`message` in an Any, whatever pool its class is of."""
    return Any(
        type_url=f"type.googleapis.com/{message.DESCRIPTOR.full_name}",
        value=message.SerializeToString(),
    )
