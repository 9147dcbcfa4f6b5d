"""The errors that a client's call ends with.

ClientError
├── CallFailed          the server, or a durable call's handler, answered with an error
│   └── Unreachable     nobody answered, or not in time; asking again may help
└── UnknownName         the server's contracts have no such message or method
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

TASKWIRE_DOMAIN = "taskwire.dev"
_DETAILS_KEY = "grpc-status-details-bin"

Detail = TypeVar("Detail", bound=Message)


class ClientError(Exception):
    """The root of the tree; the text is one sentence for people."""


class UnknownName(ClientError):
    """The server's contracts have no message or method of this name."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing wrong with a request: the field's path, such as `input.url`, and a sentence."""

    field: str
    description: str


class CallFailed(ClientError):
    """A call was answered with an error.

    `reason` and `domain` are those of its google.rpc.ErrorInfo, "" without one: a handler's
    own errors have a domain of their own, taskwire's have "taskwire.dev".
    """

    def __init__(self, code: grpc.StatusCode, message: str, status: status_pb2.Status) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        info = _detail(status, error_details_pb2.ErrorInfo) or error_details_pb2.ErrorInfo()
        self.reason = info.reason
        self.domain = info.domain
        self.metadata = dict(info.metadata)
        bad = _detail(status, error_details_pb2.BadRequest) or error_details_pb2.BadRequest()
        self.violations = tuple(Violation(v.field, v.description) for v in bad.field_violations)
        retry = _detail(status, error_details_pb2.RetryInfo)
        self.retry_after: timedelta | None = retry.retry_delay.ToTimedelta() if retry else None


class Unreachable(CallFailed):
    """Nobody answered, or the server could not serve the call now: UNAVAILABLE, or a deadline
    that passed without a word from the server."""


def unanswered(timeout_s: float | None, target: str = "") -> str:
    """What to say of a call of which the server at `target` said nothing in that time."""
    at = f" at {target}" if target else ""
    return f"nobody answered{at} within {timeout_s:g} s" if timeout_s is not None else ""


def call_failed(error: grpc.RpcError, silence: str = "") -> CallFailed:
    """`error` as one of the errors above; `silence` is its text when the deadline just passed."""
    code = _code(error)
    status = _status(error)
    silent = code is grpc.StatusCode.DEADLINE_EXCEEDED and not status.details
    message = (silence if silent else "") or status.message or _details(error) or code.name
    if code is grpc.StatusCode.UNAVAILABLE or silent:
        return Unreachable(code, message, status)
    return CallFailed(code, message, status)


# Every error of a call is a grpc.Call too, which grpc's types do not say; on an event loop it is
# something of its own.
_OF_CALLS = (grpc.Call, grpc.aio.AioRpcError)


def _code(error: grpc.RpcError) -> grpc.StatusCode:
    code = error.code() if isinstance(error, _OF_CALLS) else None
    return code if isinstance(code, grpc.StatusCode) else grpc.StatusCode.UNKNOWN


def _details(error: grpc.RpcError) -> str:
    return str(error.details() or "") if isinstance(error, _OF_CALLS) else str(error)


def _status(error: grpc.RpcError) -> status_pb2.Status:
    trailers = error.trailing_metadata() if isinstance(error, _OF_CALLS) else ()
    pairs: Iterable[tuple[str, str | bytes]] = trailers or ()
    for key, value in pairs:
        if key == _DETAILS_KEY and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                break
    return status_pb2.Status()


def _detail(status: status_pb2.Status, kind: type[Detail]) -> Detail | None:
    for packed in status.details:
        found = kind()
        if packed.Unpack(found):
            return found
    return None
