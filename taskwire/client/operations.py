"""Operations of a gateway, by the standard service google.longrunning: `Client.operations`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TypeVar

import grpc
from google.longrunning import operations_pb2 as pb
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from taskwire.client.broken import backoff_s
from taskwire.client.errors import Unreachable
from taskwire.client.short_call import short_call

Answer = TypeVar("Answer", bound=Message)

_SERVICE = "google.longrunning.Operations"
_COLLECTION = "operations/"


class Operations:
    """What can be done with operations; every method raises `CallFailed` and `Unreachable`.

    An operation is named by its name, "operations/ID", or by its id alone.
    """

    def __init__(self, channel: grpc.Channel, timeout_s: float) -> None:
        self._channel = channel
        self._timeout_s = timeout_s

    def get(self, name: str) -> pb.Operation:
        """The operation as it is now."""
        return self._call("GetOperation", pb.GetOperationRequest(name=_full(name)), pb.Operation)

    def all(self) -> Iterator[pb.Operation]:
        """Every operation of the caller, the newest first."""
        request = pb.ListOperationsRequest(page_size=100)
        while True:
            page = self._call("ListOperations", request, pb.ListOperationsResponse)
            yield from page.operations
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def cancel(self, name: str) -> None:
        """Do no more of the operation; what it has done stays."""
        self._call("CancelOperation", pb.CancelOperationRequest(name=_full(name)), Empty)

    def delete(self, name: str) -> None:
        """Delete the record of an operation that has ended."""
        self._call("DeleteOperation", pb.DeleteOperationRequest(name=_full(name)), Empty)

    def follow(self, name: str, *, every_s: float = 0.5) -> Iterator[pb.Operation]:
        """The operation as it is now, every `every_s` seconds, until it has ended.

        Server restarts in between are waited out.
        """
        request = pb.WaitOperationRequest(name=_full(name))
        request.timeout.FromNanoseconds(round(every_s * 1e9))
        failures = 0
        while True:
            try:
                found = self._call("WaitOperation", request, pb.Operation)
            except Unreachable as error:
                asked_s = error.retry_after.total_seconds() if error.retry_after else 0.0
                time.sleep(backoff_s(failures, asked_s))
                failures += 1
                continue
            failures = 0
            yield found
            if found.done:
                return

    def _call(self, method: str, request: Message, answer: type[Answer]) -> Answer:
        # The generated stub has no types.
        call: grpc.UnaryUnaryMultiCallable[Message, Answer] = self._channel.unary_unary(
            f"/{_SERVICE}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        return short_call(call, request, self._timeout_s)


def _full(name: str) -> str:
    return name if name.startswith(_COLLECTION) else _COLLECTION + name
