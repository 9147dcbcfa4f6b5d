"""Progress is conflated, and the newest report always gets through."""

from __future__ import annotations

import pytest

from taskwire import ProgressReport
from taskwire.examples.v1.math_tasks_pb2 import DivideRequest
from taskwire_worker import progress
from taskwire_worker.held import HeldTask
from taskwire_worker.progress import ProgressBoard
from tests.support.eventually import eventually
from tests.unit.worker import fakes


class Scene:
    """A board with what it told others."""

    def __init__(self) -> None:
        self.doorbell = fakes.FakeDoorbell()
        self.ledger = fakes.FakeLedger()
        self.board = ProgressBoard(self.doorbell, self.ledger)
        self.held = held()

    def report(self, fraction: float) -> None:
        self.board.report(self.held, ProgressReport(fraction))

    def rung(self) -> list[float]:
        return [ring.progress.fraction for ring in self.doorbell.rung]


def held() -> HeldTask:
    return fakes.held(fakes.queued_task("a.B/C", DivideRequest()))


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_the_first_report_rings_at_once(scene: Scene) -> None:
    scene.report(0.1)

    assert scene.rung() == [0.1]
    assert scene.doorbell.rung[0].attempt == 1


def test_reports_in_quick_succession_are_one_ring_with_the_newest(scene: Scene) -> None:
    for percent in range(100):
        scene.report(percent / 100)

    def newest() -> bool:
        scene.board.tick()
        return scene.rung()[-1] == 0.99

    eventually(newest)
    assert len(scene.rung()) <= 20


def test_what_reports_after_the_end_of_its_task_is_not_heard(scene: Scene) -> None:
    scene.report(0.1)
    scene.board.forget(scene.held)

    scene.report(0.2)

    assert scene.rung() == [0.1]
    assert not scene.board._newest


def test_two_tasks_do_not_wait_for_each_other(scene: Scene) -> None:
    scene.report(0.1)
    scene.board.report(held(), ProgressReport(0.2))

    assert scene.rung() == [0.1, 0.2]


def test_short_tasks_store_nothing(scene: Scene) -> None:
    scene.report(0.1)
    scene.board.tick()

    assert scene.ledger.stored == []


def test_the_newest_is_stored_after_a_while(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "STORE_INTERVAL_S", 0.0)
    scene.report(0.1)
    scene.report(0.2)

    scene.board.tick()
    scene.board.tick()

    assert [ring.progress.fraction for ring in scene.ledger.stored] == [0.2]


def test_a_task_that_has_ended_rings_no_more(scene: Scene) -> None:
    scene.report(0.1)
    scene.report(0.2)

    scene.board.forget(scene.held)
    scene.board.tick()

    assert scene.rung() == [0.1]


def test_long_messages_are_cut(scene: Scene) -> None:
    scene.board.report(scene.held, ProgressReport(message="m" * 10_000))

    assert len(scene.doorbell.rung[0].progress.message) == progress.MAX_MESSAGE_CHARS
