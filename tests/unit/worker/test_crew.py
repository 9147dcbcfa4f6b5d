"""The crew when its lease is in doubt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from taskwire.examples.v1.math_tasks_pb2 import DivideRequest
from taskwire_admin.instruments import Instruments
from taskwire_broker.embedded import EmbeddedBroker, EmbeddedExchange
from taskwire_core.ids import new_id
from taskwire_core.lifecycle import Event
from taskwire_worker.crew import Crew, CrewOptions
from taskwire_worker.deliveries import BrokerDeliveries
from taskwire_worker.isolation import ChildSetup
from taskwire_worker.outcome import Stop
from tests.support.eventually import eventually
from tests.unit.worker import fakes


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
        isolation=ChildSetup(modules=()),
    )
    made = Crew(
        options,
        {},
        ledger=ledger,
        doorbell=fakes.FakeDoorbell(),
        lease=lease,
        deliveries=BrokerDeliveries(
            ["q"],
            deployment,
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


def test_what_runs_is_told_to_stop_when_the_lease_is_not_renewed(crew: Crew, lease: Lease) -> None:
    running = fakes.held(fakes.queued_task("acme.v1.Things/Do", DivideRequest()))
    crew.held.reserve(1)
    crew.held.add([running], reserved=1)
    assert crew.held.begin(running.task.id, running.dispatch.number) is running
    lease.renewed = False

    eventually(lambda: running.stopped is Stop.LEASE)
    crew.held.end(running)


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
