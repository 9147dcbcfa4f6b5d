"""The pytest fixtures that every room's tests share; `tests/conftest.py` exposes them.

`rabbit` and `redis_server` are shared by the whole run: isolate a test by a deployment id of
its own (queue names, keys and channels all carry it). `killable_rabbit` and `killable_redis`
belong to one test, which may stop, kill and restart them.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.support.servers import RabbitServer, RedisServer, ServerFailed, ServerMissing


def _started(kind: type[RabbitServer] | type[RedisServer]) -> RabbitServer | RedisServer:
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


def _rabbit() -> Iterator[RabbitServer]:
    server = _started(RabbitServer)
    assert isinstance(server, RabbitServer)
    try:
        yield server
    finally:
        server.close()


def _redis() -> Iterator[RedisServer]:
    server = _started(RedisServer)
    assert isinstance(server, RedisServer)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def rabbit() -> Iterator[RabbitServer]:
    """A RabbitMQ that the whole run shares; never stop it."""
    yield from _rabbit()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis that the whole run shares; never stop or flush it."""
    yield from _redis()


@pytest.fixture
def killable_rabbit() -> Iterator[RabbitServer]:
    """A RabbitMQ of this test's own (7 s)."""
    yield from _rabbit()


@pytest.fixture
def killable_redis() -> Iterator[RedisServer]:
    """A Redis of this test's own."""
    yield from _redis()


@pytest.fixture
def deployment_id() -> bytes:
    """A new deployment's id: its queues, keys and channels are nobody else's."""
    return uuid.uuid4().bytes
