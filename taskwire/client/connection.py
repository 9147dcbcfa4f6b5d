"""The connection under a client: one channel to a gateway, and how short calls are made on it."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

import grpc

from taskwire.client.bulk import Bulk
from taskwire.client.errors import Unreachable, call_failed
from taskwire.client.operations import Operations
from taskwire.client.queues import Queues
from taskwire.client.schema import Schema
from taskwire.client.service_config import service_config
from taskwire.client.short_call import Request, Response, short_call
from taskwire.client.users import Users
from taskwire.v1 import task_service_pb2_grpc

DEFAULT_TARGET = "127.0.0.1:50051"
_MAX_MESSAGE_BYTES = 64 * 1024 * 1024
_HEALTH_CHECK = "/grpc.health.v1.Health/Check"

CHANNEL_OPTIONS: tuple[tuple[str, str | int], ...] = (
    ("grpc.service_config", service_config(submissions=True)),
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
    # A request larger than this buffer (256 KiB by default) would be sent once only.
    ("grpc.per_rpc_retry_buffer_size", 16 * 1024 * 1024),
    # A gateway that was restarted is back in seconds; the default waits up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)


class Connection:
    """See `taskwire.client.Client`, which has a method for everything that is done on it."""

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        timeout_s: float = 30.0,
    ) -> None:
        self.target = target
        self._credentials = credentials
        self.channel = self._open(CHANNEL_OPTIONS)
        self.schema = Schema(self.channel)
        self._timeout_s = timeout_s
        self._tasks = task_service_pb2_grpc.TaskServiceStub(self.channel)
        self.queues = Queues(self.channel, timeout_s)
        self.bulk = Bulk(self.channel, timeout_s)
        self.operations = Operations(self.channel, timeout_s)
        self.users = Users(self.channel, timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection and every call on it."""
        self.channel.close()

    def is_reachable(self, within_s: float = 5.0) -> bool:
        """Whether a server answers within `within_s` seconds; False as soon as none listens."""
        # A channel of its own: ours waits for a server that is away, and tries again.
        with self._open((("grpc.enable_retries", 0),)) as channel:
            ask: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(_HEALTH_CHECK)
            try:
                ask(b"", timeout=within_s)
            except grpc.RpcError as error:
                return not isinstance(call_failed(error), Unreachable)
        return True

    def _open(self, options: Sequence[tuple[str, str | int]]) -> grpc.Channel:
        if self._credentials is None:
            return grpc.insecure_channel(self.target, options=options)
        return grpc.secure_channel(self.target, self._credentials, options=options)

    def _short(
        self,
        method: grpc.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        extra_s: float = 0.0,
    ) -> Response:
        return short_call(method, request, self._timeout_s + extra_s, self.target)
