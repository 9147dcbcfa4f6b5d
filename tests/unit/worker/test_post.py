"""A place for a worker process that the host has no room for."""

from __future__ import annotations

import errno
import time

import pytest

from taskwire_admin.instruments import Instruments
from taskwire_core.settings import Settings
from taskwire_worker import post as post_module
from taskwire_worker.heart import Heart, News
from taskwire_worker.observation import Observations
from taskwire_worker.post import Phase, Post
from taskwire_worker.spawn import Child
from tests.unit.worker.fakes import FakeBook


def test_a_process_that_cannot_be_started_is_tried_again_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_room(module: str) -> Child:
        raise OSError(errno.EAGAIN, "no more processes")

    def ignore(news: News) -> None:
        """Nobody asks."""

    monkeypatch.setattr(post_module, "spawn", no_room)
    heart = Heart(FakeBook(), interval_s=60, tell=ignore)
    post = Post(Settings(), heart, Observations(Instruments()), module="no.matter")
    post.fill()
    assert post.child is None
    assert post.phase is Phase.EMPTY
    assert post.fill_at > time.monotonic()
