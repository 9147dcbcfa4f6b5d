"""A consumer whose worker has a defect, asked as the work loop asks it."""

from __future__ import annotations

import uuid

import pytest

from taskwire_broker.envelope import encode
from taskwire_broker.topology import broker_queue
from taskwire_core.task import Dispatch
from tests.support.brokers import QUEUE, EmbeddedTravel, dispatches
from tests.support.eventually import eventually
from tests.support.intake import FakeIntake


class ClumsyIntake(FakeIntake):
    """Stumbles over what it is told of a message that is not ours."""

    def refused(self, queue: str, body: bytes, problem: str) -> None:
        super().refused(queue, body, problem)
        raise RuntimeError("a defect in the worker")


def test_a_defect_while_deliveries_are_read_loses_none_of_those_behind_it() -> None:
    travel, intake = EmbeddedTravel(uuid.uuid4().bytes), ClumsyIntake(slots=10)
    sent = dispatches(2)
    travel.put(b"nonsense", *(encode(each, travel.deployment_id) for each in sent))
    consumer = travel.broker(intake).consume(broker_queue(QUEUE, travel.deployment_id), timeout=10)

    assert consumer.claimed() == [], "it opens its source first"
    with pytest.raises(RuntimeError):
        consumer.claimed()

    ran: list[Dispatch] = []

    def all_are_handed_out() -> bool:
        ran.extend(consumer.claimed())
        return ran == sent

    eventually(all_are_handed_out)
    assert (len(intake.rejected), travel.dead_letters()) == (1, 1)
    consumer.close()
