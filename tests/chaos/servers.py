"""The servers under a cluster: lent by others who want them back whole, or its own to break."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cached_property
from typing import Literal, TypeVar

from tests.support.postgres import PostgresServer
from tests.support.servers import RabbitServer, RedisServer, ServerFailed

Dependency = Literal["rabbitmq", "redis", "postgresql"]

Server = TypeVar("Server", RabbitServer, RedisServer, PostgresServer)


class Servers:
    """RabbitMQ, Redis and PostgreSQL, each started when it is first asked for.

    With a `lender`, only what is in `own` is started here, and everything else is the lender's.
    """

    def __init__(self, lender: Servers | None = None, own: Collection[Dependency] = ()) -> None:
        self._lender = lender
        self._own = own
        self._closings: list[Callable[[], None]] = []

    @cached_property
    def rabbit(self) -> RabbitServer:
        """The RabbitMQ."""
        return lender.rabbit if (lender := self._of("rabbitmq")) else self._started(RabbitServer)

    @cached_property
    def redis(self) -> RedisServer:
        """The Redis."""
        return lender.redis if (lender := self._of("redis")) else self._started(RedisServer)

    @cached_property
    def postgres(self) -> PostgresServer:
        """The PostgreSQL."""
        lender = self._of("postgresql")
        return lender.postgres if lender else self._started(PostgresServer)

    def close(self) -> None:
        """End what was started here."""
        for close in self._closings:
            close()

    def _of(self, name: Dependency) -> Servers | None:
        return None if name in self._own else self._lender

    def _started(self, kind: type[Server]) -> Server:
        server = kind()
        try:
            server.start()
        except ServerFailed:
            # A port that was free may have been taken meanwhile: once more, on others.
            server.close()
            server = kind()
            server.start()
        self._closings.append(server.close)
        return server
