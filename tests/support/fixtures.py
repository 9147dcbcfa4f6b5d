"""The pytest fixtures that every room's tests share; `tests/conftest.py` exposes them.

`rabbit`, `redis_server` and `postgres` are shared by the whole run. Isolate a test by a deployment
id of its own (queue names, keys and channels all carry it) and by a database of its own (see
`stores.py`). `killable_rabbit`, `killable_redis` and `killable_postgres` belong to one test, which
may stop, kill and restart them.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TypeVar

import pytest

from tests.chaos.proxies import Proxies
from tests.support.postgres import PostgresServer
from tests.support.servers import RabbitServer, RedisServer, ServerFailed, ServerMissing

Server = TypeVar("Server", RabbitServer, RedisServer, PostgresServer)


def _started(kind: type[Server]) -> Server:
    """A running server; a second try on other ports, since a free port may be taken meanwhile."""
    try:
        for last in (False, True):
            server = kind()
            try:
                server.start()
            except ServerFailed as problem:
                server.close()
                if last:
                    pytest.fail(str(problem), pytrace=False)
            except BaseException:
                server.close()
                raise
            else:
                return server
    except ServerMissing as problem:
        pytest.fail(str(problem), pytrace=False)
    raise AssertionError("unreachable")


def running(kind: type[Server]) -> Iterator[Server]:
    """A server from its start to the end of a fixture."""
    server = _started(kind)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def rabbit() -> Iterator[RabbitServer]:
    """A RabbitMQ that the whole run shares; never stop it."""
    yield from running(RabbitServer)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis that the whole run shares; never stop or flush it."""
    yield from running(RedisServer)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL that the whole run shares; never stop it, and take `store_url` if you can."""
    yield from running(PostgresServer)


@pytest.fixture(scope="session")
def proxies() -> Iterator[Proxies]:
    """The thread of the run's proxies."""
    made = Proxies()
    yield made
    made.close()


@pytest.fixture
def killable_rabbit() -> Iterator[RabbitServer]:
    """A RabbitMQ of this test's own (7 s)."""
    yield from running(RabbitServer)


@pytest.fixture
def killable_redis() -> Iterator[RedisServer]:
    """A Redis of this test's own."""
    yield from running(RedisServer)


@pytest.fixture
def killable_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL of this test's own (1.5 s)."""
    yield from running(PostgresServer)


@pytest.fixture
def deployment_id() -> bytes:
    """A new deployment's id: its queues, keys and channels are nobody else's."""
    return uuid.uuid4().bytes
