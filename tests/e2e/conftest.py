"""Gateway and worker over a real RabbitMQ and Redis, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.servers import RabbitServer, RedisServer
from tests.support.stack import Stack, stack


@pytest.fixture
def services(rabbit: RabbitServer, redis_server: RedisServer) -> Iterator[Stack]:
    """A gateway and a worker of this test's own, over the shared servers."""
    with stack(rabbitmq_url=rabbit.url, redis_url=redis_server.url) as made:
        yield made
