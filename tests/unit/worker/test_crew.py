"""What the crew looks after beside its threads: its lease, late claims, children that hang."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path

import pytest

from taskwire.examples.v1.demo_tasks_pb2 import FlakyRequest, FlakyResponse
from taskwire.examples.v1.image_tasks_pb2 import MakeThumbnailRequest
from taskwire.examples.v1.math_tasks_pb2 import DivideRequest
from taskwire_admin.instruments import Instruments
from taskwire_broker.embedded import EmbeddedBroker, EmbeddedExchange
from taskwire_core.ids import new_id
from taskwire_core.lifecycle import Event
from taskwire_worker.crew import Crew, CrewOptions
from taskwire_worker.deliveries import BrokerDeliveries
from taskwire_worker.held import HeldTask
from taskwire_worker.isolation import ChildSetup
from taskwire_worker.isolation import run as run_module
from taskwire_worker.outcome import Killed, Outcome, Returned, Stop
from taskwire_worker.run import Services
from tests.support.eventually import eventually
from tests.unit.worker import fakes, isolated_handlers


class Lease:
    def __init__(self) -> None:
        self.renewed = True

    def alive(self) -> bool:
        return self.renewed


@pytest.fixture
def lease() -> Lease:
    return Lease()


@pytest.fixture
def ledger() -> fakes.FakeLedger:
    return fakes.FakeLedger()


@pytest.fixture
def crew(lease: Lease, ledger: fakes.FakeLedger, tmp_path: Path) -> Iterator[Crew]:
    deployment = new_id()
    options = CrewOptions(
        worker_id=new_id(),
        threads=1,
        async_slots=1,
        data_dir=tmp_path,
        cancel_grace_s=0.1,
        max_result_bytes=1024,
        isolation=ChildSetup(modules=(isolated_handlers.__name__,), examples=True),
    )
    made = Crew(
        options,
        {},
        ledger=ledger,
        doorbell=fakes.FakeDoorbell(),
        lease=lease,
        deliveries=BrokerDeliveries(
            ["q"],
            lambda intake: EmbeddedBroker(
                EmbeddedExchange(), deployment_id=deployment, intake=intake
            ),
        ),
        preparation=fakes.preparation(),
        instruments=Instruments(),
    )
    made.start()
    yield made
    made.drain(0)
    made.finish(1)


def claim_of_an_hour_ago() -> HeldTask:
    claimed = fakes.held(fakes.queued_task("acme.v1.Things/Do", DivideRequest()))
    claimed.claimed_at -= 3600
    return claimed


def test_what_was_claimed_and_finds_no_thread_goes_back(
    crew: Crew, ledger: fakes.FakeLedger
) -> None:
    waiting, running = claim_of_an_hour_ago(), claim_of_an_hour_ago()
    crew.held.reserve(2)
    crew.held.add([running], reserved=1)
    crew.held.begin(running.task.id, running.dispatch.number)
    crew.held.add([waiting], reserved=1)

    (settled,) = ledger.settlements(1)
    assert (settled.task_id, settled.event) == (waiting.task.id, Event.HANDED_BACK)
    assert settled.message == "no thread became free"
    crew.held.end(running)


def test_what_waits_is_handed_back_when_the_lease_is_not_renewed(
    crew: Crew, lease: Lease, ledger: fakes.FakeLedger
) -> None:
    waiting = fakes.held(fakes.queued_task("acme.v1.Things/Do", DivideRequest()))
    crew.held.reserve(1)
    crew.held.add([waiting], reserved=1)
    lease.renewed = False

    (settled,) = ledger.settlements(1)
    assert (settled.task_id, settled.event) == (waiting.task.id, Event.HANDED_BACK)
    assert settled.message == "the worker's lease was not renewed"
    assert settled.never_began


def test_what_runs_is_told_to_stop_when_the_lease_is_not_renewed(crew: Crew, lease: Lease) -> None:
    running = fakes.held(fakes.queued_task("acme.v1.Things/Do", DivideRequest()))
    crew.held.reserve(1)
    crew.held.add([running], reserved=1)
    assert crew.held.begin(running.task.id, running.dispatch.number) is running
    lease.renewed = False

    eventually(lambda: running.stopped is Stop.LEASE)
    crew.held.end(running)


def test_what_runs_in_a_drain_is_told_to_stop_when_the_lease_is_not_renewed(
    crew: Crew, lease: Lease
) -> None:
    running = fakes.held(fakes.queued_task("acme.v1.Things/Do", DivideRequest()))
    crew.held.reserve(1)
    crew.held.add([running], reserved=1)
    assert crew.held.begin(running.task.id, running.dispatch.number) is running
    draining = threading.Thread(target=crew.drain, args=(60,))
    draining.start()
    eventually(lambda: not crew.intake.is_open)
    lease.renewed = False

    try:
        eventually(lambda: running.stopped is Stop.LEASE)
    finally:
        crew.held.end(running)
        draining.join()


def test_a_claim_that_comes_in_after_the_lease_is_handed_back(
    crew: Crew, lease: Lease, ledger: fakes.FakeLedger
) -> None:
    lease.renewed = False
    eventually(lambda: not crew.intake.is_open)
    late = fakes.held(fakes.queued_task("acme.v1.Things/Do", DivideRequest()))
    crew.held.reserve(1)
    crew.held.add([late], reserved=1)

    (settled,) = ledger.settlements(1)
    assert settled.message == "the worker's lease was not renewed"


def test_a_lease_that_is_renewed_late_lets_work_in_again(crew: Crew, lease: Lease) -> None:
    lease.renewed = False
    eventually(lambda: not crew.intake.is_open)
    lease.renewed = True
    eventually(lambda: crew.intake.is_open)


FLAKY = "taskwire.examples.v1.DemoTasks/Flaky"
THUMBNAIL = "taskwire.examples.v1.ImageTasks/MakeThumbnail"
ALONE = Services(report=lambda report: None, submit=lambda request: Future())


def test_a_child_that_reads_nothing_any_more_is_killed_after_its_deadline(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread of the run hangs as it writes, and looks at no clock."""
    monkeypatch.setattr(run_module, "_WATCHDOG_SLACK_S", 0.1)
    os.kill(pid_of_a_child(crew), signal.SIGSTOP)
    large = fakes.held(
        fakes.queued_task(
            THUMBNAIL,
            MakeThumbnailRequest(image=bytes(4 * 1024 * 1024)),
            attempt_timeout=timedelta(seconds=0.2),
        )
    )
    outcomes: list[Outcome] = []
    hanging = threading.Thread(target=lambda: outcomes.append(crew._pool.run(large, ALONE)))
    hanging.start()

    try:
        eventually(lambda: outcomes == [Killed()])
    finally:
        crew.drain(0)
        hanging.join(10)


def pid_of_a_child(crew: Crew) -> int:
    """A process that waits for its next attempt."""
    work = fakes.held(fakes.queued_task(FLAKY, FlakyRequest(failures=isolated_handlers.WORK)))
    outcome = crew._pool.run(work, ALONE)
    assert isinstance(outcome, Returned)
    return FlakyResponse.FromString(outcome.result.data).attempts
