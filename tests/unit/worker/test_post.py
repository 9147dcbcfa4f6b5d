"""A place for a worker process: one that has no room, and those that do not talk as they should."""

from __future__ import annotations

import errno
import itertools
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection

import pytest

from taskwire_admin.instruments import Instruments
from taskwire_core.settings import Settings
from taskwire_worker import post as post_module
from taskwire_worker.control import Ended, FromChild, Loaded, Unclaimed
from taskwire_worker.heart import Heart, News
from taskwire_worker.observation import Observations
from taskwire_worker.post import Phase, Post
from taskwire_worker.spawn import Child, spawn
from tests.support.eventually import eventually
from tests.unit.worker import deaf_process
from tests.unit.worker.fakes import FakeBook

LEASE_S = Settings().lease_ttl.total_seconds()


@pytest.fixture
def book() -> FakeBook:
    return FakeBook()


@pytest.fixture
def heart(book: FakeBook) -> Iterator[Heart]:
    def ignore(news: News) -> None:
        """Nobody asks."""

    made = Heart(book, interval_s=60, tell=ignore)
    made.start()
    yield made
    made.stop(10)


def post_of(heart: Heart, start: Callable[[], Child]) -> Post:
    return Post(Settings(), heart, Observations(Instruments()), start=start)


def at_work(heart: Heart, start: Callable[[], Child]) -> Post:
    post = post_of(heart, start)
    post.fill()
    post.phase = Phase.WORKING
    return post


def test_a_process_that_cannot_be_started_is_tried_again_later(heart: Heart) -> None:
    def no_room() -> Child:
        raise OSError(errno.EAGAIN, "no more processes")

    post = post_of(heart, no_room)
    post.fill()
    assert post.child is None
    assert post.phase is Phase.EMPTY
    assert post.fill_at > time.monotonic()


def spawn_deaf() -> Child:
    return spawn(deaf_process.__name__)


def without_waiting(work: Callable[[], None]) -> None:
    """Does `work`, which would hang if it waited for a process that reads nothing."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()


def test_a_process_that_reads_nothing_for_a_lease_holds_nobody_up_and_is_replaced(
    heart: Heart, book: FakeBook
) -> None:
    post = at_work(heart, spawn_deaf)

    def renew() -> None:
        for at in itertools.takewhile(lambda _: not post.ended(), itertools.count()):
            post.renewed(float(at), ())

    try:
        without_waiting(renew)
    finally:
        post.kill()
    assert post.deaths == 1
    eventually(lambda: book.lost_ones == [post.worker_id])


def test_a_process_that_has_not_read_for_a_while_is_left_alone(heart: Heart) -> None:
    post = at_work(heart, spawn_deaf)

    def renew() -> None:
        for _ in range(1000):
            post.renewed(0.0, ())
        post.renewed(LEASE_S, ())

    try:
        without_waiting(renew)
        assert post.child is not None
        assert not post.child.ended
    finally:
        post.kill()
        eventually(post.ended)


def test_a_message_that_a_process_does_not_take_ends_it(
    heart: Heart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post_module, "_PATIENCE_S", 1)
    post = at_work(heart, spawn_deaf)
    cancelling = tuple((bytes(16), attempt) for attempt in range(100_000))

    try:
        without_waiting(lambda: post.renewed(0.0, cancelling))
        eventually(post.ended)
    finally:
        post.kill()
    assert post.deaths == 1


def ends_itself(last_words: Sequence[FromChild]) -> Callable[[], Child]:
    """Starts a process that says `last_words` and ends with exit code 0."""

    def start() -> Child:
        ours, theirs = socket.socketpair()
        with Connection(theirs.detach()) as pipe:
            for word in last_words:
                pipe.send(word)
        process = subprocess.Popen([sys.executable, "-c", ""], start_new_session=True)
        return Child(process, Connection(ours.detach()))

    return start


def test_what_a_process_had_said_before_a_drain_killed_it_does_not_register_it(
    heart: Heart, book: FakeBook
) -> None:
    post = post_of(heart, ends_itself([Loaded(types=(), queues=(), slots=1)]))
    post.fill()
    post.drain(0)
    eventually(post.ended)
    assert post.deaths == 0
    eventually(lambda: book.retired_ones == [post.worker_id])


@pytest.mark.parametrize("code_0_after", [(), (Unclaimed(0),)])
def test_a_working_process_that_ends_without_its_last_word_has_died(
    heart: Heart, book: FakeBook, code_0_after: Sequence[FromChild]
) -> None:
    post = at_work(heart, ends_itself(code_0_after))
    eventually(post.ended)
    assert post.deaths == 1
    eventually(lambda: book.lost_ones == [post.worker_id])


def test_a_working_process_that_has_drained_by_itself_has_ended_in_order(
    heart: Heart, book: FakeBook
) -> None:
    post = at_work(heart, ends_itself([Ended()]))
    eventually(post.ended)
    assert post.deaths == 0
    eventually(lambda: book.retired_ones == [post.worker_id])
