"""One call that is answered soon: its deadline, and its error as one of ours."""

from __future__ import annotations

from typing import TypeVar

import grpc
from google.protobuf.message import Message

from taskwire.client.errors import call_failed, unanswered

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)


def short_call(
    method: grpc.UnaryUnaryMultiCallable[Request, Response],
    request: Request,
    timeout_s: float,
    target: str = "",
) -> Response:
    """The answer of `method`; `target` is the address that an error may speak of.

    Raises:
        CallFailed: it was an error.
        Unreachable: nobody answered within `timeout_s`.
    """
    try:
        return method(request, timeout=timeout_s)
    except grpc.RpcError as error:
        raise call_failed(error, unanswered(timeout_s, target)) from None
