"""A refused request is let go at once: nothing waits for Python's collector."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.rpc import status_pb2

from taskwire_gateway.rpc.calls import Call, Context, Handler, StatusError
from taskwire_gateway.rpc.observed import observed
from tests.support.eventually import eventually_async

_METHOD = "chaos.Test/Refuse"


class _Request(bytes):
    """Tells when it is let go; bytes cannot be referred to weakly."""

    gone = 0

    def __del__(self) -> None:
        _Request.gone += 1


class _Log:
    def ended(self, method: str, code: str, seconds: float) -> None: ...


async def _unary(request: Any, context: Context) -> bytes:
    async with Call(context):
        raise StatusError(status_pb2.Status(code=3, message=f"{len(request)}"))
    return b""


async def _stream(request: Any, context: Context) -> AsyncIterator[bytes]:
    async with Call(context):
        raise StatusError(status_pb2.Status(code=3, message=f"{len(request)}"))
    yield b""


class _Served(grpc.GenericRpcHandler):
    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        if self._handler.unary_unary is not None:
            make: Any = grpc.unary_unary_rpc_method_handler
            return make(self._handler.unary_unary, request_deserializer=_Request)
        make = grpc.unary_stream_rpc_method_handler
        return make(self._handler.unary_stream, request_deserializer=_Request)


@pytest.mark.parametrize("streams", [False, True])
async def test_a_refused_request_is_not_kept(streams: bool) -> None:
    make: Any = (
        grpc.unary_stream_rpc_method_handler if streams else grpc.unary_unary_rpc_method_handler
    )
    server = grpc.aio.server()
    handler = observed(_METHOD, make(_stream if streams else _unary), _Log())
    server.add_generic_rpc_handlers([_Served(handler)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    gone_before = _Request.gone
    gc.disable()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            method: Any = channel.unary_stream if streams else channel.unary_unary
            for _ in range(3):
                call = method(f"/{_METHOD}")(b"large")
                assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
        await eventually_async(lambda: _Request.gone == gone_before + 3)
    finally:
        gc.enable()
        await server.stop(None)
