"""Requests out of their wire form, results into it: generated classes where there are any.

Messages of two descriptor pools do not mix. A handler that imports generated code has its
messages in the default pool and is given those; any other is given the contracts' dynamic
ones. Between the two, only names and bytes cross.
"""

from __future__ import annotations

from google.protobuf import descriptor_pool
from google.protobuf.message import DecodeError, EncodeError, Message
from google.protobuf.message_factory import GetMessageClass

from taskwire_core.failure import TASKWIRE_DOMAIN, Code, Failure, FailureKind
from taskwire_core.task import Payload

MAX_RESULT_BYTES = 4 * 1024 * 1024
_EMPTY = "google.protobuf.Empty"


class BadResult(Exception):
    """What a handler returned cannot be the task's result; `failure` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class UnreadableInput(Exception):
    """The stored input is no message of the type's input class."""


def message_class(dynamic: type[Message]) -> type[Message]:
    """The generated class for `dynamic`'s message if this process has imported it, else it."""
    try:
        descriptor = descriptor_pool.Default().FindMessageTypeByName(dynamic.DESCRIPTOR.full_name)
    except KeyError:
        return dynamic
    return GetMessageClass(descriptor)


def parse_input(input_class: type[Message], data: bytes) -> Message:
    """The request in `data`.

    Raises:
        UnreadableInput: `data` is not the wire form of such a message.
    """
    try:
        return input_class.FromString(data)
    except DecodeError as error:
        raise UnreadableInput(str(error)) from error


def encode_result(
    result_class: type[Message], returned: object, *, max_bytes: int = MAX_RESULT_BYTES
) -> Payload:
    """The wire form of what a handler returned.

    Raises:
        BadResult: It is no message of the type's result class, cannot be encoded, or takes
            more than `max_bytes`.
    """
    expected = result_class.DESCRIPTOR.full_name
    if returned is None and expected == _EMPTY:
        return Payload(expected, b"")
    if not isinstance(returned, Message) or returned.DESCRIPTOR.full_name != expected:
        raise _bad(
            f"The handler returned {_kind(returned)} instead of {expected}; correct it.",
            expected=expected,
            returned=_kind(returned),
        )
    size = returned.ByteSize()
    if size > max_bytes:
        raise _bad(
            f"The handler's result takes {size} bytes; at most {max_bytes} are allowed. Let it"
            " return less, or the address of a store that has the rest.",
            size_bytes=str(size),
            max_bytes=str(max_bytes),
        )
    try:
        return Payload(expected, returned.SerializeToString())
    except (EncodeError, ValueError) as error:
        # The library names fields that are missing here, never their contents.
        raise _bad(
            f"The handler's {expected} cannot be encoded.", problem=type(error).__name__
        ) from error


def _kind(returned: object) -> str:
    if returned is None:
        return "nothing"
    if isinstance(returned, Message):
        return returned.DESCRIPTOR.full_name
    return type(returned).__qualname__


def _bad(message: str, **metadata: str) -> BadResult:
    return BadResult(
        Failure(
            kind=FailureKind.BAD_RESULT,
            code=Code.INTERNAL,
            reason="BAD_RESULT",
            message=message,
            metadata=metadata,
            domain=TASKWIRE_DOMAIN,
        )
    )
