"""What a consumer may rely on when it asks for room and claims: the worker's intake, and the fake
that the suites of the brokers use in its place."""

from __future__ import annotations

import threading
from typing import Protocol

import pytest

from taskwire.examples.v1.math_tasks_pb2 import DivideRequest
from taskwire_broker.ports import Intake
from taskwire_core.errors import StoreUnavailable
from taskwire_core.task import Dispatch
from taskwire_worker import intake as worker_intake
from taskwire_worker.held import HeldTasks
from taskwire_worker.loop_slots import LoopSlots
from tests.support.brokers import QUEUE, TYPE, dispatches
from tests.support.intake import FakeIntake
from tests.unit.worker import fakes

SLOTS = 3


class Desk(Protocol):
    """An intake with three slots, and what the worker behind it does."""

    intake: Intake

    def messages(self, count: int) -> list[Dispatch]:
        """Messages of tasks that can be claimed."""

    def finish(self, dispatch: Dispatch) -> None:
        """The task of a claimed message has run."""

    def store_away(self, away: bool) -> None:
        """Have the store answer nothing, or answer again."""


class FakeDesk:
    def __init__(self) -> None:
        self._fake = FakeIntake(slots=SLOTS)
        self.intake: Intake = self._fake

    def messages(self, count: int) -> list[Dispatch]:
        return dispatches(count)

    def finish(self, dispatch: Dispatch) -> None:
        self._fake.finish()

    def store_away(self, away: bool) -> None:
        self._fake.store_away = away


class WorkerDesk:
    def __init__(self) -> None:
        self._ledger = fakes.FakeLedger()
        self._held = HeldTasks()
        self._real = worker_intake.Intake(
            self._ledger,
            self._held,
            slots=SLOTS,
            queues=[QUEUE],
            types=[TYPE],
            loop=LoopSlots({}, slots=1, start=lambda task_id, dispatch: None),
        )
        self._real.open()
        self.intake: Intake = self._real

    def messages(self, count: int) -> list[Dispatch]:
        made = [fakes.queued_task(TYPE, DivideRequest()) for _ in range(count)]
        return self._ledger.add(*made)

    def finish(self, dispatch: Dispatch) -> None:
        held = self._held.begin(dispatch.task_id, dispatch.number)
        assert held is not None
        self._real.done(held)

    def store_away(self, away: bool) -> None:
        self._ledger.store.away = away


@pytest.fixture(params=[FakeDesk, WorkerDesk])
def desk(request: pytest.FixtureRequest) -> Desk:
    made: Desk = request.param()
    return made


def test_a_claim_takes_slots(desk: Desk) -> None:
    assert desk.intake.free(QUEUE) == SLOTS
    group = desk.messages(2)
    assert desk.intake.claim(group) == group
    assert desk.intake.free(QUEUE) == SLOTS - 2


def test_what_is_claimed_twice_is_ours_once(desk: Desk) -> None:
    (first, second) = desk.messages(2)
    assert desk.intake.claim([first]) == [first]
    assert desk.intake.claim([first, second, second]) == [second]
    assert desk.intake.free(QUEUE) == SLOTS - 2


def test_nothing_is_claimed_while_the_store_is_away(desk: Desk) -> None:
    group = desk.messages(2)
    desk.store_away(True)
    with pytest.raises(StoreUnavailable):
        desk.intake.claim(group)
    assert desk.intake.free(QUEUE) == SLOTS
    desk.store_away(False)
    assert desk.intake.claim(group) == group


def test_whoever_waits_for_a_slot_hears_when_one_is_free(desk: Desk) -> None:
    assert desk.intake.wait_for_slot(0)
    group = desk.messages(SLOTS)
    desk.intake.claim(group)
    assert desk.intake.free(QUEUE) == 0
    assert not desk.intake.wait_for_slot(0.01)
    heard: list[bool] = []
    waiter = threading.Thread(target=lambda: heard.append(desk.intake.wait_for_slot(10)))
    waiter.start()
    desk.finish(group[0])
    waiter.join(10)
    assert heard == [True]
    assert desk.intake.free(QUEUE) >= 1


def test_a_message_that_is_none_of_ours_is_taken(desk: Desk) -> None:
    desk.intake.refused(QUEUE, b"\xff", "It has no shape.")
