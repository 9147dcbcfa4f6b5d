"""The gRPC server: which handlers it has, its options, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import grpc

from taskwire_contracts import Contracts
from taskwire_contracts.limits import Limits
from taskwire_core.errors import ConfigurationError
from taskwire_gateway.rpc.calls import Handler
from taskwire_gateway.rpc.observed import CallLog, observed
from taskwire_gateway.rpc.unserved import unserved

_MINUTE_MS = 60_000


def server_options(limits: Limits) -> list[tuple[str, int]]:
    """grpc's own limits; each name is one that the C core of the pinned release knows."""
    return [
        # Two gateways on one port would share its calls by chance: the second is refused.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", limits.message_bytes),
        # What we send is bounded by what we took in; reflection is larger than small limits.
        ("grpc.max_send_message_length", -1),
        # Silent and half-open connections stay for ever by default.
        ("grpc.server_handshake_timeout_ms", 10_000),
        ("grpc.max_connection_idle_ms", 30 * _MINUTE_MS),
        # Watches end after 50 minutes; the grace lets one that began late live as long.
        ("grpc.max_connection_age_ms", 120 * _MINUTE_MS),
        ("grpc.max_connection_age_grace_ms", 60 * _MINUTE_MS),
        ("grpc.keepalive_time_ms", _MINUTE_MS),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
        ("grpc.max_allowed_incoming_connections", 20_000),
        # A burst beyond these is CANCELLED at random; admission control refuses it in words.
        ("grpc.server.max_pending_requests", 30_000),
        ("grpc.server.max_pending_requests_hard_limit", 60_000),
    ]


class Handlers(grpc.GenericRpcHandler):
    """All methods by path, whatever service they belong to."""

    def __init__(self, handlers: Mapping[str, Handler], contracts: Contracts, log: CallLog) -> None:
        self._handlers = {
            path: observed(path.removeprefix("/"), handler, log)
            for path, handler in handlers.items()
        }
        self._contracts = contracts
        self._log = log

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler:
        """The handler of one call."""
        path = handler_call_details.method
        found = self._handlers.get(path)
        # Whatever callers make up is one method in the metrics.
        return found or observed("unserved", unserved(path, self._contracts), self._log)


class Server:
    """Serves `handlers` on one address."""

    def __init__(self, handlers: Handlers, limits: Limits) -> None:
        self._server = grpc.aio.server(options=server_options(limits))
        self._server.add_generic_rpc_handlers((handlers,))

    async def start(self, address: str) -> int:
        """Listen on `address` (port 0 chooses one); the port.

        Raises:
            ConfigurationError: the address is in use, or not one of this host.
        """
        try:
            port = self._server.add_insecure_port(address)
        except RuntimeError:
            port = 0
        if not port:
            raise ConfigurationError(
                f"cannot listen on {address}: it is in use, or not an address of this host;"
                " set TASKWIRE_LISTEN to another one"
            )
        await self._server.start()
        return port

    async def stop(self, grace_s: float) -> None:
        """Take no more calls, and wait up to `grace_s` seconds for those in progress."""
        await self._server.stop(grace_s)
        # grpc.aio cancels its handlers without waiting for them to end.
        await asyncio.sleep(0)
