"""google.rpc.Status with its details: how an error looks in the contract."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from taskwire_core.failure import TASKWIRE_DOMAIN, Code, Failure

MAX_DETAILS_BYTES = 3_000
"""Statuses travel in headers, of which clients accept 8 KiB: more violations are only counted."""

MAX_MESSAGE_BYTES = 1_200


def error_info(
    reason: str, metadata: dict[str, str], domain: str = TASKWIRE_DOMAIN
) -> error_details_pb2.ErrorInfo:
    """The detail that programs read."""
    return error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=metadata)


def status(code: Code, message: str, details: Iterable[Message]) -> status_pb2.Status:
    """A status with its details packed."""
    found = status_pb2.Status(code=int(code), message=wire_message(message))
    for detail in details:
        packed = Any()
        packed.Pack(detail)
        found.details.append(packed)
    return found


def failure_status(failure: Failure) -> status_pb2.Status:
    """A task's error: its canonical code, the message that may be shown, and ErrorInfo."""
    info = error_info(failure.reason, dict(failure.metadata), failure.domain or TASKWIRE_DOMAIN)
    if info.ByteSize() > MAX_DETAILS_BYTES:
        info.metadata.clear()
    return status(failure.code, failure.message, [info])


def wire_message(message: str) -> str:
    """`message`, cut to what a header has room for, where most bytes are spelled with three."""
    if len(message) * 3 * 4 <= MAX_MESSAGE_BYTES:
        return message
    room = MAX_MESSAGE_BYTES
    for position, character in enumerate(message):
        room -= sum(1 if 0x20 <= byte < 0x7F else 3 for byte in character.encode())
        if room < 0:
            return message[:position] + "…"
    return message
