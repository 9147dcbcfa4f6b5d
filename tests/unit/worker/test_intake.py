"""How much work a process takes on: slots over all queues, look-ahead for short tasks."""

from __future__ import annotations

import threading
import time

import pytest
from msgspec.structs import replace

from taskwire.examples.v1.math_tasks_pb2 import DivideRequest
from taskwire_core.errors import StoreUnavailable
from taskwire_core.task import Dispatch, Task
from taskwire_worker.held import HeldTask, HeldTasks
from taskwire_worker.intake import Intake
from taskwire_worker.lookahead import CompletionRate, look_ahead, may_claim
from taskwire_worker.loop_slots import LoopSlots
from taskwire_worker.outcome import Stop
from tests.unit.worker import fakes

TYPE = "taskwire.examples.v1.MathTasks/Divide"
NO_LOOP = LoopSlots({}, slots=1, start=lambda task_id, dispatch: None)


class Office:
    """An intake with four slots and two queues, over a ledger in memory."""

    def __init__(self) -> None:
        self.ledger = fakes.FakeLedger()
        self.held = HeldTasks()
        self.intake = Intake(
            self.ledger, self.held, slots=4, queues=["q", "r"], types=[TYPE], loop=NO_LOOP
        )
        self.intake.open()

    def messages(self, count: int, queue: str = "q") -> list[Dispatch]:
        tasks = [fakes.queued_task(TYPE, DivideRequest()) for _ in range(count)]
        return self.ledger.add(*(_on(task, queue) for task in tasks))

    def begin(self, dispatch: Dispatch) -> HeldTask:
        held = self.held.begin(dispatch.task_id, dispatch.number)
        assert held is not None
        return held


def _on(task: Task, queue: str) -> Task:
    return replace(task, options=replace(task.options, queue=queue))


@pytest.fixture
def office() -> Office:
    return Office()


def test_the_slots_are_counted_over_all_queues(office: Office) -> None:
    office.intake.claim(office.messages(3, "q"))

    assert office.intake.free("q") == 1
    assert office.intake.free("r") == 1


@pytest.fixture
def careful(office: Office) -> Intake:
    """One whose tasks begin at most once; they are fast, and come from "q"."""
    made = Intake(
        office.ledger,
        office.held,
        slots=4,
        queues=["q", "r"],
        types=[TYPE],
        loop=NO_LOOP,
        never_ahead={TYPE: "q"},
    )
    made.open()
    for rate in (made._total_rate, made._rate("q"), made._rate("r")):
        rate._rate, rate._since = 10_000.0, time.monotonic()
    return made


def test_a_queue_of_tasks_that_begin_at_most_once_has_no_look_ahead(careful: Intake) -> None:
    assert careful.free("q") == 4
    assert careful.free("r") > 4


def test_a_queue_that_such_a_task_was_moved_to_has_no_look_ahead_from_then_on(
    careful: Intake, office: Office
) -> None:
    careful.claim(office.messages(1, "r"))
    assert careful.free("r") == 3


def test_a_finished_task_frees_its_slot(office: Office) -> None:
    first, *_ = office.intake.claim(office.messages(4))
    assert office.intake.free("q") == 0

    office.intake.done(office.begin(first))

    assert office.intake.free("q") == 1


def test_what_somebody_else_has_claimed_is_not_ours(office: Office) -> None:
    messages = office.messages(3)
    office.ledger.claim(messages[1:2])

    assert office.intake.claim(messages) == [messages[0], messages[2]]
    assert office.held.total == 2


def test_a_message_that_came_twice_is_run_once(office: Office) -> None:
    (message,) = office.messages(1)

    assert office.intake.claim([message, message]) == [message]
    assert office.intake.claim([message]) == []


def test_a_type_without_a_handler_is_given_back(office: Office) -> None:
    (message,) = office.messages(1)
    strange = replace(message, type="acme.v1.Other/Do")

    assert office.intake.claim([strange, message]) == [message]
    assert office.ledger.strange == [strange]


def test_a_store_that_is_away_claims_nothing_and_counts_nothing(office: Office) -> None:
    messages = office.messages(2)
    office.ledger.store.away = True

    with pytest.raises(StoreUnavailable):
        office.intake.claim(messages)

    assert office.intake.free("q") == 4


def test_a_closed_intake_lets_nothing_in(office: Office) -> None:
    office.intake.close()

    assert office.intake.free("q") == 0


def test_whoever_waits_for_a_slot_is_woken_when_there_is_one(office: Office) -> None:
    first, *_ = office.intake.claim(office.messages(4))
    held = office.begin(first)
    assert not office.intake.wait_for_slot(0)

    threading.Thread(target=office.intake.done, args=(held,)).start()

    assert office.intake.wait_for_slot(10)


def test_a_stale_message_begins_nothing(office: Office) -> None:
    (message,) = office.intake.claim(office.messages(1))

    assert office.held.begin(message.task_id, message.number + 1) is None
    assert office.held.begin(message.task_id, message.number) is not None
    assert office.held.begin(message.task_id, message.number) is None


def test_only_what_waits_too_long_is_taken_back(office: Office) -> None:
    running, waiting = office.intake.claim(office.messages(2))
    office.begin(running)

    assert office.held.take_waiting(claimed_before=time.monotonic() - 60) == []
    taken = office.held.take_waiting(claimed_before=time.monotonic() + 60)

    assert [held.dispatch for held in taken] == [waiting]
    assert office.held.begin(waiting.task_id, waiting.number) is None
    assert office.intake.free("q") == 3


def test_a_cancel_reaches_a_task_that_waits_for_a_thread(office: Office) -> None:
    (message,) = office.intake.claim(office.messages(1))

    office.held.cancel(message.task_id, 1)

    assert office.begin(message).stopped is Stop.CANCEL


def test_a_cancel_may_come_before_the_claim_is_known_here(office: Office) -> None:
    (message,) = office.messages(1)
    office.held.cancel(message.task_id, 1)

    office.intake.claim([message])

    assert office.begin(message).stopped is Stop.CANCEL


@pytest.mark.parametrize("attempt", [0, 2])
def test_a_cancel_of_another_attempt_is_not_ours(office: Office, attempt: int) -> None:
    (message,) = office.intake.claim(office.messages(1))

    office.held.cancel(message.task_id, attempt)

    assert office.begin(message).stopped is None


def test_a_thread_that_is_stuck_in_an_old_attempt_still_takes_its_slot(office: Office) -> None:
    task = fakes.queued_task(TYPE, DivideRequest())
    (first,) = office.intake.claim(office.ledger.add(task))
    stuck = office.begin(first)
    (second,) = office.intake.claim(office.ledger.add(replace(task, attempt=1, dispatch=2)))
    again = office.begin(second)

    assert office.intake.free("q") == 2
    assert set(office.held.running()) == {stuck, again}

    office.intake.done(again)
    assert not office.held.wait_until_idle(0)
    office.intake.done(stuck)
    assert office.held.wait_until_idle(0)


def test_poison_is_recorded(office: Office) -> None:
    office.intake.refused("q", b"\x00", "not JSON")

    assert office.ledger.poison == ["not JSON"]


@pytest.mark.parametrize(
    ("per_second", "ahead"), [(0, 0), (2, 0), (9, 0), (80, 8), (2_000, 200), (10**6, 256)]
)
def test_the_look_ahead_is_what_ends_in_a_tenth_of_a_second(per_second: float, ahead: int) -> None:
    assert look_ahead(per_second) == ahead


def test_the_rate_follows_what_happens() -> None:
    rate = CompletionRate()
    assert rate.per_second(100.0) == 0
    for _ in range(50):
        rate.count()

    assert rate.per_second(100.05) == 0
    assert rate.per_second(100.125) == pytest.approx(200)
    assert rate.per_second(110) == 0


def claimable(**changed: float) -> int:
    # Eight threads are busy, nothing waits, nothing is known about the tasks' duration.
    state = {"slots": 8, "held": 8, "waiting": 0, "queue_held": 8, "queue_waiting": 0}
    rates = {"queue_rate": 0.0, "total_rate": 0.0, "queues": 2}
    return may_claim(**{**state, **rates, **changed})  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize(
    ("changed", "count"),
    [
        pytest.param({}, 0, id="long tasks: no thread is free"),
        pytest.param({"held": 5}, 3, id="free threads"),
        pytest.param({"queue_rate": 200.0, "total_rate": 200.0}, 20, id="short tasks: 100 ms"),
        pytest.param(
            {
                "queue_rate": 200.0,
                "total_rate": 200.0,
                "held": 23,
                "waiting": 15,
                "queue_waiting": 15,
            },
            5,
            id="short tasks, some wait already",
        ),
        pytest.param(
            {"total_rate": 1000.0, "held": 28, "waiting": 20, "queue_held": 0},
            4,
            id="a queue that another keeps from every thread gets a share",
        ),
        pytest.param(
            {"total_rate": 1.0, "held": 28, "waiting": 20, "queue_held": 0},
            0,
            id="but not while tasks are long",
        ),
    ],
)
def test_how_many_may_be_claimed(changed: dict[str, float], count: int) -> None:
    assert claimable(**changed) == count
