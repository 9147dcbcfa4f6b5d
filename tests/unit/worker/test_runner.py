"""One claimed attempt that this process cannot run."""

from __future__ import annotations

import errno
from concurrent.futures import Future

import pytest

import taskwire_contracts
from taskwire import Isolation
from taskwire.examples.v1.math_tasks_pb2 import DivideRequest, DivideResponse
from taskwire_admin.instruments import Instruments
from taskwire_core.failure import FailureKind
from taskwire_core.lifecycle import Event, State
from taskwire_core.recovery import Settlement
from taskwire_worker.attempt_log import AttemptLog
from taskwire_worker.event_loop import EventLoop
from taskwire_worker.handlers import Handler
from taskwire_worker.held import HeldTask, HeldTasks
from taskwire_worker.outcome import Outcome, Stop
from taskwire_worker.progress import ProgressBoard
from taskwire_worker.run import Services
from taskwire_worker.runner import Runner
from tests.unit.worker import fakes

DIVIDE = "taskwire.examples.v1.MathTasks/Divide"


class NoDescriptors:
    def run(self, held: HeldTask, services: Services) -> Outcome:
        raise OSError(errno.EMFILE, "too many open files")


class Scene:
    """A runner with one task that waits for it."""

    def __init__(self, *, at_most_once: bool = False) -> None:
        task_type = taskwire_contracts.load([], examples=True).types[DIVIDE]
        handler = Handler(
            task_type, lambda *_: None, Isolation.PROCESS, DivideRequest, DivideResponse
        )
        task = fakes.queued_task(DIVIDE, DivideRequest(), at_most_once=at_most_once)
        self.waiting = fakes.held(task)
        held = HeldTasks()
        held.add([self.waiting], reserved=0)
        self.settled: list[Settlement] = []
        self.ended: list[HeldTask] = []
        self._runner = Runner(
            {DIVIDE: handler},
            held,
            isolated=NoDescriptors(),
            loop=EventLoop(grace_s=1),
            progress=ProgressBoard(fakes.FakeDoorbell(), fakes.FakeLedger()),
            submitter=lambda task: lambda request: Future(),
            settle=self.settled.append,
            done=self.ended.append,
            log=AttemptLog(Instruments()),
            max_result_bytes=1000,
        )

    def run(self) -> Settlement:
        self._runner.run(self.waiting.task.id, self.waiting.dispatch.number)
        (settlement,) = self.settled
        assert self.ended == [self.waiting]
        return settlement


def test_an_attempt_that_cannot_be_run_here_ends_at_once() -> None:
    try:
        settlement = Scene().run()
    except OSError:
        pytest.fail("the error went to a thread of Dramatiq's, which logs it and goes on")

    assert settlement.target is State.RETRYING
    assert settlement.failure is not None
    assert settlement.failure.kind is FailureKind.WORKER_LOST


def test_an_at_most_once_task_that_must_stop_before_it_has_begun_is_handed_back() -> None:
    scene = Scene(at_most_once=True)
    scene.waiting.tell_to_stop(Stop.DRAIN)

    settlement = scene.run()

    assert settlement.event is Event.HANDED_BACK
    assert settlement.never_began
