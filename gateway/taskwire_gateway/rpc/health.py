"""grpc.health.v1: whether calls should come here, for the whole server and for each service.

The servicer of grpcio-health-checking writes to its watchers under the lock that a change needs,
so that one who does not read would keep everybody from learning of the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import grpc
from google.rpc import code_pb2, status_pb2
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from taskwire_gateway.admission import Gate
from taskwire_gateway.rpc.calls import Call, Context, Handler, StatusError, parse
from taskwire_gateway.rpc.idle_streams import IdleStreams


class Health:
    """SERVING from the beginning and NOT_SERVING from `end` on; "" is the whole server."""

    def __init__(self, services: Sequence[str], gate: Gate, streams: IdleStreams) -> None:
        self._services = {"", *services}
        self._gate = gate
        self._streams = streams
        self._ending = asyncio.Event()

    def handlers(self) -> dict[str, Handler]:
        """The method handlers by path."""
        return {
            # No gate: it says NOT_SERVING while other calls are refused.
            "/grpc.health.v1.Health/Check": grpc.unary_unary_rpc_method_handler(self._check),
            "/grpc.health.v1.Health/Watch": grpc.unary_stream_rpc_method_handler(self._watch),
        }

    def end(self) -> None:
        """Tell everybody to look elsewhere."""
        self._ending.set()

    async def _check(self, data: bytes, context: Context) -> bytes:
        async with Call(context):
            request = parse(data, HealthCheckRequest)
            if request.service not in self._services:
                # No error of ours: the protocol has no more than the code.
                unknown = "There is no such service here."
                raise StatusError(status_pb2.Status(code=code_pb2.NOT_FOUND, message=unknown))
            return self._status()

    async def _watch(self, data: bytes, context: Context) -> AsyncIterator[bytes]:
        async with Call(context):
            with self._gate.admit(data):
                request = parse(data, HealthCheckRequest)
                if request.service not in self._services:
                    unknown = HealthCheckResponse(status=HealthCheckResponse.SERVICE_UNKNOWN)
                    yield unknown.SerializeToString()
                else:
                    if not self._ending.is_set():
                        yield self._status()
                        with self._streams.idle():
                            await self._ending.wait()
                    yield self._status()
                with self._streams.idle():
                    # Nothing changes any more: the caller goes, or the server does.
                    await asyncio.Event().wait()

    def _status(self) -> bytes:
        ending = self._ending.is_set()
        status = HealthCheckResponse.NOT_SERVING if ending else HealthCheckResponse.SERVING
        return HealthCheckResponse(status=status).SerializeToString()
