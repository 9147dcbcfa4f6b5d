"""`taskwire dev` where RabbitMQ and Redis are configured: the real services, as children."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from taskwire.client import Client
from tests.cli.conftest import DIVIDE, THUMBNAIL
from tests.support.embedded import EmbeddedServer
from tests.support.eventually import eventually
from tests.support.servers import RabbitServer, RedisServer

pytestmark = pytest.mark.servers


@pytest.fixture
def dev(rabbit: RabbitServer, redis_server: RedisServer) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(rabbitmq_url=rabbit.url, redis_url=redis_server.url)
    try:
        server.start()
        yield server
    finally:
        server.close()


def test_the_examples_run_over_the_services_and_sigterm_ends_both(dev: EmbeddedServer) -> None:
    done = dev.run("submit", DIVIDE, '{"dividend": 84, "divisor": 2}', "--wait")
    assert done.returncode == 0, done.stderr + dev.output
    assert '{"quotient": 42.0}' in done.stdout
    eventually(lambda: "grpcurl -plaintext" in dev.output, what="the greeting")
    assert "over RabbitMQ and Redis" in dev.output
    with Client(dev.address) as client:
        assert THUMBNAIL in [each.name for each in client.types()]
        assert dev.stop() == 0
        assert not client.is_reachable(1)
    assert "Traceback" not in dev.output
