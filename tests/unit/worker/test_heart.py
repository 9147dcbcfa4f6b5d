"""Heartbeats go on whatever the store does, and nothing that it did not take is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from taskwire_core.ids import new_id
from taskwire_worker import heart as heart_module
from taskwire_worker import lease as lease_module
from taskwire_worker.heart import Beat, Heart, News, NotRegistered, Registered
from taskwire_worker.lease import RenewedLease
from taskwire_worker.ports import Report, WorkerRow
from tests.support.eventually import eventually
from tests.support.failpoints import armed
from tests.unit.worker import fakes


class Scene:
    """A heart that beats every 20 ms, and what it has told."""

    def __init__(self) -> None:
        self.book = fakes.FakeBook()
        self.news: list[News] = []
        self.heart = Heart(self.book, interval_s=0.02, tell=self.news.append)
        self.heart.start()

    def register(self) -> bytes:
        row = WorkerRow(new_id(), "host", 1, 8, ("a.B/C",), ("q",))
        self.heart.register(row)
        return row.id

    def registered(self) -> bytes:
        worker_id = self.register()
        eventually(lambda: any(worker_id in beat.asked for beat in self.beats()))
        return worker_id

    def beats(self) -> list[Beat]:
        return [each for each in self.news if isinstance(each, Beat)]


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setattr(heart_module, "_RETRY_S", 0.01)
    made = Scene()
    yield made
    made.book.store.away = False
    assert made.heart.stop(10)


def test_a_registered_worker_is_renewed(scene: Scene) -> None:
    worker_id = scene.registered()

    beat = eventually(scene.beats)[0]

    assert isinstance(scene.news[0], Registered)
    assert (beat.asked, beat.renewal.alive) == (frozenset({worker_id}), frozenset({worker_id}))


def test_nobody_is_renewed_before_there_is_somebody(scene: Scene) -> None:
    scene.registered()

    assert all(beat.asked for beat in eventually(scene.beats))


def test_a_registration_is_tried_until_the_store_takes_it(scene: Scene) -> None:
    scene.book.store.away = True
    worker_id = scene.register()

    scene.book.store.away = False

    eventually(lambda: worker_id in scene.book.store.leases)


def test_a_worker_that_a_defect_keeps_from_being_registered_is_told(scene: Scene) -> None:
    with armed("lease.registered:error"):
        worker_id = scene.register()
        eventually(lambda: NotRegistered(worker_id) in scene.news)

    assert scene.registered() != worker_id


def test_leases_go_on_after_the_store_was_away(scene: Scene) -> None:
    scene.registered()
    scene.book.store.away = True
    before = len(scene.beats())

    scene.book.store.away = False

    eventually(lambda: len(scene.beats()) > before + 1)


def test_a_renewal_counts_from_when_it_was_asked_for(scene: Scene) -> None:
    scene.registered()
    eventually(lambda: len(scene.beats()) > 3)

    # The store counts from the moment at which it renews: who counts from a later one believes
    # in the lease after everybody else does not.
    assert all(
        beat.at <= at for beat, at in zip(scene.beats(), scene.book.renewed_at, strict=False)
    )


def test_a_lease_that_is_gone_is_told(scene: Scene) -> None:
    worker_id = scene.registered()

    scene.book.store.leases.clear()

    eventually(lambda: scene.beats()[-1].renewal.alive == frozenset())
    assert worker_id in scene.beats()[-1].asked


def test_a_dead_worker_is_reported_and_renewed_no_more(scene: Scene) -> None:
    worker_id = scene.registered()

    scene.heart.lost(worker_id)

    eventually(lambda: scene.book.lost_ones == [worker_id])
    count = len(scene.book.reports)
    other = scene.registered()
    eventually(lambda: len(scene.book.reports) > count)
    assert scene.book.reports[-1].keys() == {other}


def test_a_worker_that_died_before_it_was_registered_is_renewed_no_more(scene: Scene) -> None:
    scene.book.store.away = True
    worker_id = scene.register()
    scene.heart.lost(worker_id)
    scene.book.store.away = False

    eventually(lambda: scene.book.lost_ones == [worker_id])
    other = scene.registered()
    count = len(scene.book.reports)
    eventually(lambda: len(scene.book.reports) > count)
    assert scene.book.reports[-1].keys() == {other}


def test_a_drain_is_told_at_once_and_the_held_deliveries_too(scene: Scene) -> None:
    worker_id = scene.registered()

    scene.heart.unclaimed(worker_id, 7)
    scene.heart.draining(worker_id)

    eventually(lambda: scene.book.reports[-1][worker_id] == Report(7, draining=True))


def test_stopping_finishes_what_was_asked_for(scene: Scene) -> None:
    worker_id = scene.registered()
    scene.heart.retired(worker_id)

    assert scene.heart.stop(10)

    assert scene.book.retired_ones == [worker_id]


def test_stopping_does_not_wait_for_ever_for_the_store() -> None:
    scene = Scene()
    scene.book.store.away = True
    scene.heart.retired(new_id())

    assert not scene.heart.stop(0.05)
    scene.book.store.away = False


def test_a_lease_is_trusted_for_three_quarters_of_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = SimpleNamespace(at=100.0)
    now.monotonic = lambda: now.at
    monkeypatch.setattr(lease_module, "time", now)
    lease = RenewedLease(20)
    now.at = 114.9
    assert lease.alive()

    now.at = 115
    assert not lease.alive()
    lease.renewed(at=99)
    assert not lease.alive()
    lease.renewed(at=101)
    assert lease.alive()
