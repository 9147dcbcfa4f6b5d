"""Redis' URL."""

from __future__ import annotations

import pytest

from taskwire_core.errors import ConfigurationError
from taskwire_db.feed.address import read_address
from taskwire_db.feed.redis_announcer import RedisAnnouncer


def test_user_and_password_are_read_and_never_shown() -> None:
    address = read_address("redis://ann:hunter2@cache:6380/3")
    assert (address.host, address.port) == ("cache", 6380)
    assert address.credentials == ("ann", "hunter2")
    assert "hunter2" not in repr(address)


def test_a_password_alone_is_the_default_users() -> None:
    assert read_address("redis://:hunter2@cache").credentials == ("hunter2",)


def test_tls_is_checked_unless_the_url_says_otherwise() -> None:
    tls = read_address("rediss://cache").tls
    assert tls is not None
    assert tls.check_hostname


def test_a_socket_file_can_be_named() -> None:
    assert read_address("unix:///run/redis.sock").path == "/run/redis.sock"


@pytest.mark.parametrize("url", ["", "http://hunter2", "redis://h?socket_timeout=hunter2"])
def test_a_bad_url_is_one_line_that_does_not_quote_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="TASKWIRE_REDIS_URL") as problem:
        RedisAnnouncer(url, b"d" * 16)
    assert "hunter2" not in str(problem.value)
