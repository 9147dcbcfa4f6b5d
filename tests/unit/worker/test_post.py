"""A place for a worker process that the host has no room for."""

from __future__ import annotations

import errno
import time

from taskwire_admin.instruments import Instruments
from taskwire_core.settings import Settings
from taskwire_worker.heart import Heart, News
from taskwire_worker.observation import Observations
from taskwire_worker.post import Phase, Post
from taskwire_worker.spawn import Child
from tests.unit.worker.fakes import FakeBook


def test_a_process_that_cannot_be_started_is_tried_again_later() -> None:
    def no_room() -> Child:
        raise OSError(errno.EAGAIN, "no more processes")

    def ignore(news: News) -> None:
        """Nobody asks."""

    heart = Heart(FakeBook(), interval_s=60, tell=ignore)
    post = Post(Settings(), heart, Observations(Instruments()), start=no_room)
    post.fill()
    assert post.child is None
    assert post.phase is Phase.EMPTY
    assert post.fill_at > time.monotonic()
