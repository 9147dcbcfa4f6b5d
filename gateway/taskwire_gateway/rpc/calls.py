"""What surrounds every call: one shape for unary calls and streams of both kinds alike.

From the outside in: the call's id in the trailers, errors turned into statuses, admission,
then the parsing of the request. A handler raises the errors of `taskwire_core.errors` and
knows nothing of statuses; nothing that nobody foresaw leaves with its own text.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import NoReturn, TypeAlias, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import status_pb2
from msgspec.structs import replace

from taskwire_contracts.statuses import wire_message
from taskwire_core.errors import RequestError, StoreUnavailable
from taskwire_core.scope import begin, current_scope
from taskwire_gateway.admission import Gate
from taskwire_gateway.rpc import statuses
from taskwire_gateway.rpc.durable_metadata import refuse_metadata

log = logging.getLogger(__name__)

# In quotes: these classes take type arguments in their stubs only.
Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
Handler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"
Trailer = tuple[str, str]
Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)

CALL_ID_KEY = "taskwire-call-id"

_CODES = {code.value[0]: code for code in grpc.StatusCode}
_prefix = secrets.token_hex(6)
_numbers = itertools.count(1)


class StatusError(Exception):
    """A call that ends with a status made elsewhere: a task's own error."""

    def __init__(self, status: status_pb2.Status) -> None:
        super().__init__(status.message)
        self.status = status


class Call:
    """One call: an async context manager that answers whatever its block raises.

    `trailers` are sent with the answer, whatever it is. `gate` knows who calls; a call of
    nobody in particular, such as one of reflection, has none.
    """

    __slots__ = ("_gate", "context", "id", "trailers")

    def __init__(self, context: Context, gate: Gate | None = None) -> None:
        self.context = context
        self.id = f"{_prefix}-{next(_numbers):x}"
        self.trailers: list[Trailer] = [(CALL_ID_KEY, self.id)]
        self._gate = gate
        scope = current_scope()
        begin(replace(scope, fields={**scope.fields, "call": self.id}))

    @property
    def owner(self) -> str:
        """The id of the user who calls, and who owns what the call makes.

        Raises:
            RequestError: it cannot be told.
        """
        assert self._gate is not None, "this call is nobody's"
        return self._gate.identity.user_of(metadata_of(self.context))

    async def __aenter__(self) -> Call:
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.context.set_trailing_metadata(tuple(self.trailers))
        elif isinstance(error, Exception):
            await self._abort(self.status_of(error))

    def time_left_s(self) -> float | None:
        """Seconds until the caller's deadline, None when it set none."""
        return self.context.time_remaining()

    def status_of(self, error: Exception) -> status_pb2.Status:
        """What answers `error`; what nobody foresaw is logged and leaves without its text."""
        if isinstance(error, StatusError):
            return error.status
        if isinstance(error, RequestError):
            return statuses.status_of(error)
        if isinstance(error, StoreUnavailable):
            log.warning(
                "the store did not answer a call", extra={"call": self.id, "problem": str(error)}
            )
            return statuses.status_of(statuses.store_unavailable(error))
        log.error("a call failed unexpectedly", exc_info=error, extra={"call": self.id})
        return statuses.status_of(statuses.internal(self.id))

    async def _abort(self, status: status_pb2.Status) -> NoReturn:
        details = (statuses.DETAILS_KEY, status.SerializeToString())
        code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
        await self.context.abort(code, wire_message(status.message), (*self.trailers, details))
        raise AssertionError("abort returned")


def parse(data: bytes, request_class: type[Request]) -> Request:
    """The request in `data`.

    Raises:
        RequestError: MALFORMED_REQUEST.
    """
    try:
        return request_class.FromString(data)
    except DecodeError:
        raise statuses.malformed(request_class.DESCRIPTOR.full_name) from None


def unary(
    request_class: type[Request],
    gate: Gate,
    serve: Callable[[Request, Call], Awaitable[Message]],
) -> Handler:
    """A method that answers one request with one message."""

    async def answer(data: bytes, context: Context) -> bytes:
        async with Call(context, gate) as call:
            with gate.admit(data):
                refuse_metadata(metadata_of(context))
                response = await serve(parse(data, request_class), call)
                return response.SerializeToString()

    return grpc.unary_unary_rpc_method_handler(answer)


Send = Callable[[Message], Awaitable[None]]


def stream(
    request_class: type[Request],
    gate: Gate,
    serve: Callable[[Request, Call, Send], Awaitable[None]],
) -> Handler:
    """A method that answers one request with a stream of messages, which `serve` sends."""

    async def answer(data: bytes, context: Context) -> None:
        async with Call(context, gate) as call:
            with gate.admit(data):
                refuse_metadata(metadata_of(context))
                await serve(parse(data, request_class), call, sender(context))

    return grpc.unary_stream_rpc_method_handler(answer)


Receive = Callable[[], Awaitable[Request | None]]
"""The caller's next message, None when it has sent all of them. Raises MALFORMED_REQUEST."""


def duplex(
    request_class: type[Request],
    gate: Gate,
    serve: Callable[[Receive[Request], Call, Send], Awaitable[None]],
) -> Handler:
    """A method where both sides stream: `serve` receives and sends as it likes.

    What it does not receive waits with the caller, whom grpc's flow control holds up.
    """

    async def answer(_requests: object, context: Context) -> None:
        async def receive() -> Request | None:
            data = await context.read()
            return parse(data, request_class) if isinstance(data, bytes) else None

        async with Call(context, gate) as call:
            with gate.admit(b""):
                refuse_metadata(metadata_of(context))
                await serve(receive, call, sender(context))

    return grpc.stream_stream_rpc_method_handler(answer)


def sender(context: Context) -> Send:
    """Sends the messages of one stream, one at a time."""

    async def send(message: Message) -> None:
        try:
            await context.write(message.SerializeToString())
        except grpc.aio.BaseError:
            # The caller has gone in the middle of it; grpc says so a moment later.
            raise asyncio.CancelledError from None

    return send


def metadata_of(context: Context) -> Sequence[tuple[str, str | bytes]]:
    """What the caller sent along, in its order."""
    return tuple(context.invocation_metadata() or ())
