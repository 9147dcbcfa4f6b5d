"""Every method, with what happens to it told: its line in the metrics, its place in the logs.

It wraps the handlers from outside and changes nothing of what they answer.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

import grpc

from taskwire_core.scope import Scope, begin
from taskwire_gateway.rpc.calls import Context, Handler

_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}


class CallLog(Protocol):
    """Is told of every call."""

    def ended(self, method: str, code: str, seconds: float) -> None:
        """A call has ended with that gRPC code."""


def observed(method: str, handler: Handler, log: CallLog) -> Handler:
    """`handler`, whose calls `log` is told of under the name `method`."""
    # The stubs know handlers that run in threads only.
    kinds: tuple[tuple[_Serve | None, Callable[[_Serve], Handler]], ...] = (
        (handler.unary_unary, grpc.unary_unary_rpc_method_handler),
        (handler.unary_stream, grpc.unary_stream_rpc_method_handler),
        (handler.stream_unary, grpc.stream_unary_rpc_method_handler),
        (handler.stream_stream, grpc.stream_stream_rpc_method_handler),
    )
    for serve, make in kinds:
        if serve is not None:
            return make(_watched(method, serve, log))
    raise AssertionError(f"{method} has no function")


_Serve = Callable[[Any, Any], Any]  # a request or a stream of them, and the context of the call


def _watched(method: str, serve: _Serve, log: CallLog) -> _Serve:
    # grpc tells the two by the kind of function.
    if inspect.isasyncgenfunction(serve):
        return _streamed(method, serve, log)
    return _awaited(method, serve, log)


def _awaited(method: str, serve: Callable[[Any, Context], Awaitable[Any]], log: CallLog) -> _Serve:
    async def answer(request: Any, context: Context) -> Any:
        began = time.perf_counter()
        try:
            answer = await serve(_scoped(method, request), context)
        except BaseException as error:
            log.ended(method, _code(context, error), time.perf_counter() - began)
            _leave_nothing_with(error)
            del request, context
            raise
        log.ended(method, _code(context, None), time.perf_counter() - began)
        return answer

    return answer


def _streamed(
    method: str, serve: Callable[[Any, Context], AsyncIterator[Any]], log: CallLog
) -> _Serve:
    async def answer(request: Any, context: Context) -> AsyncIterator[Any]:
        began = time.perf_counter()
        try:
            async for message in serve(_scoped(method, request), context):
                yield message
        except BaseException as error:
            log.ended(method, _code(context, error), time.perf_counter() - began)
            _leave_nothing_with(error)
            del request, context
            raise
        log.ended(method, _code(context, None), time.perf_counter() - began)

    return answer


def _leave_nothing_with(error: BaseException) -> None:
    """Cut an abort off from the frames that it has come through.

    grpc keeps it beside the context of its call, which those frames know: a ring that would hold
    each refused request until Python's collector looks at old objects, after gigabytes of them.
    For the same reason nobody who raises it again may know the request or the context.
    """
    if isinstance(error, grpc.aio.AbortError):
        error.__context__ = error.__traceback__ = None


def _scoped(method: str, request: Any) -> Any:
    """The request, from now on what this asyncio task works on; of a stream the newest."""
    if isinstance(request, bytes):
        begin(Scope({"method": method}, request))
        return request
    begin(Scope({"method": method}))
    return _newest(method, request)


async def _newest(method: str, requests: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for request in requests:
        begin(Scope({"method": method}, request))
        yield request


def _code(context: Context, error: BaseException | None) -> str:
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return "CANCELLED"
    code = context.code()
    if isinstance(code, grpc.StatusCode):
        return code.name
    # A handler that raised anything but an abort is answered by grpc itself.
    return _NAMES.get(code or 0, "UNKNOWN") if error is None or code else "UNKNOWN"
