"""Gateway and worker over a real RabbitMQ and Redis, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.servers import RabbitServer, RedisServer
from tests.support.stack import Stack, stack


@pytest.fixture
def database_url() -> str | None:
    """The database of `services`, None for SQLite's; a file whose tests need both overrides it."""
    return None


@pytest.fixture
def services(
    rabbit: RabbitServer, redis_server: RedisServer, database_url: str | None
) -> Iterator[Stack]:
    """A gateway and a worker of this test's own, over the shared servers."""
    database = {} if database_url is None else {"database_url": database_url}
    with stack(rabbitmq_url=rabbit.url, redis_url=redis_server.url, **database) as made:
        yield made
