"""What a process takes on for its event loop, beside the work for its threads."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

import taskwire_contracts
from taskwire import Isolation, TaskContext
from taskwire.examples.v1.demo_tasks_pb2 import SleepRequest, SleepResponse
from taskwire.examples.v1.math_tasks_pb2 import DivideRequest, DivideResponse
from taskwire_core.task import Dispatch
from taskwire_worker.handlers import Handler
from taskwire_worker.held import HeldTask, HeldTasks
from taskwire_worker.intake import Intake
from taskwire_worker.loop_slots import LoopSlots
from tests.unit.worker import fakes

DIVIDE = "taskwire.examples.v1.MathTasks/Divide"
SLEEP = "taskwire.examples.v1.DemoTasks/Sleep"
ON_LOOP, IN_THREADS, SHARED = "demo", "math", "shared"


async def sleep(request: SleepRequest, context: TaskContext) -> SleepResponse:
    return SleepResponse()


def divide(request: DivideRequest, context: TaskContext) -> DivideResponse:
    return DivideResponse()


def handlers() -> dict[str, Handler]:
    types = taskwire_contracts.load([], examples=True).types
    thread = Isolation.THREAD
    return {
        SLEEP: Handler(types[SLEEP], sleep, thread, SleepRequest, SleepResponse, is_async=True),
        DIVIDE: Handler(types[DIVIDE], divide, thread, DivideRequest, DivideResponse),
    }


class Office:
    """An intake with two threads and six places on its event loop."""

    def __init__(self) -> None:
        self.ledger = fakes.FakeLedger()
        self.held = HeldTasks()
        self.running: list[HeldTask] = []
        known = handlers()
        self.intake = Intake(
            self.ledger,
            self.held,
            slots=2,
            queues=[ON_LOOP, IN_THREADS, SHARED],
            types=known,
            loop=LoopSlots(known, slots=6, start=self._start),
        )
        self.intake.open()

    def claim(self, type: str, count: int, queue: str, *, solo: bool = False) -> list[Dispatch]:
        """What is left to threads when `count` tasks are claimed."""
        tasks = [fakes.queued_task(type, DivideRequest(), solo=solo) for _ in range(count)]
        return self.intake.claim(
            self.ledger.add(*(replace(t, options=replace(t.options, queue=queue)) for t in tasks))
        )

    def _start(self, task_id: bytes, dispatch: int) -> None:
        held = self.held.begin(task_id, dispatch)
        assert held is not None
        self.running.append(held)


@pytest.fixture
def office() -> Office:
    return Office()


def test_coroutines_begin_at_once_and_take_no_thread(office: Office) -> None:
    assert office.claim(SLEEP, 4, ON_LOOP) == []

    assert len(office.running) == 4
    assert office.intake.free(ON_LOOP) == 2
    assert office.intake.free(IN_THREADS) == 2


def test_busy_threads_leave_the_loop_free(office: Office) -> None:
    assert len(office.claim(DIVIDE, 2, IN_THREADS)) == 2

    assert office.intake.free(IN_THREADS) == 0
    assert office.intake.free(ON_LOOP) == 6


def test_a_full_loop_leaves_the_threads_free(office: Office) -> None:
    office.claim(SLEEP, 6, ON_LOOP)

    assert office.intake.free(ON_LOOP) == 0
    assert office.intake.free(IN_THREADS) == 2
    assert office.intake.wait_for_slot(0)


def test_a_coroutine_that_has_ended_frees_its_place(office: Office) -> None:
    office.claim(SLEEP, 6, ON_LOOP)

    office.intake.done(office.running[0])

    assert office.intake.free(ON_LOOP) == 1


def test_a_shared_queue_needs_room_for_either(office: Office) -> None:
    office.claim(SLEEP, 1, SHARED)
    office.claim(DIVIDE, 1, SHARED)
    assert office.intake.free(SHARED) == 1

    office.claim(DIVIDE, 1, IN_THREADS)

    assert office.intake.free(SHARED) == 0
    assert office.intake.free(ON_LOOP) == 5


def test_what_must_run_alone_waits_for_a_thread(office: Office) -> None:
    assert len(office.claim(SLEEP, 1, ON_LOOP, solo=True)) == 1

    assert office.running == []
    assert office.intake.free(IN_THREADS) == 1
