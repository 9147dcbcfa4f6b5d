"""How the feed reaches Redis: one reading of the URL for all of its connections."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from redis.connection import parse_url

from taskwire_core.errors import ConfigurationError

_CONNECT_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Address:
    """What a `redis://`, `rediss://` or `unix://` URL says."""

    host: str
    port: int
    path: str | None
    credentials: tuple[str, ...] = field(repr=False)
    tls: ssl.SSLContext | None

    async def connect(self, protocol: Callable[[], asyncio.BaseProtocol]) -> None:
        """Open a stream for what `protocol` makes.

        Raises:
            OSError: the server cannot be reached, or not within 5 s.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            if self.path is not None:
                await loop.create_unix_connection(protocol, self.path)
            else:
                await loop.create_connection(protocol, self.host, self.port, ssl=self.tls)


def read_address(url: str) -> Address:
    """The address in a URL.

    Raises:
        ConfigurationError: it cannot be used; the text does not quote it.
    """
    try:
        parts: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]  # redis-py has no types here
    except ValueError:
        raise ConfigurationError(
            "TASKWIRE_REDIS_URL cannot be read; write it as redis://user:password@host:6379/0"
        ) from None
    password = parts.get("password")
    username = parts.get("username")
    return Address(
        host=parts.get("host", "localhost"),
        port=parts.get("port", 6379),
        path=parts.get("path"),
        credentials=tuple(each for each in (username, password) if each) if password else (),
        tls=_tls(parts) if url.startswith("rediss://") else None,
    )


def _tls(parts: dict[str, Any]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=parts.get("ssl_ca_certs"))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if parts.get("ssl_certfile"):
        context.load_cert_chain(parts["ssl_certfile"], parts.get("ssl_keyfile"))
    if parts.get("ssl_check_hostname") is False:
        context.check_hostname = False
    if parts.get("ssl_cert_reqs") == "none":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
