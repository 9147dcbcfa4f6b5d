"""An announcer without a Redis."""

from __future__ import annotations

import logging

import pytest

from taskwire_db.feed.redis_announcer import RedisAnnouncer


def test_an_announcer_that_has_nothing_to_say_does_not_knock_when_it_is_closed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    announcer = RedisAnnouncer("redis://127.0.0.1:1/0", bytes(16))
    with caplog.at_level(logging.WARNING):
        announcer.close(30)
    assert caplog.text == ""
