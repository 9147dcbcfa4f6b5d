"""A consumer whose worker has a defect, asked as the work loop asks it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import pytest

from taskwire_broker.claiming_consumer import ClaimingConsumer
from taskwire_broker.deliveries import SourceLost
from taskwire_broker.envelope import encode
from taskwire_broker.topology import broker_queue
from taskwire_core.failpoints import FailpointError
from taskwire_core.task import Dispatch
from tests.support.brokers import QUEUE, EmbeddedTravel, dispatches
from tests.support.eventually import eventually
from tests.support.failpoints import armed
from tests.support.intake import FakeIntake


class ClumsyIntake(FakeIntake):
    """Stumbles over what it is told of a message that is not ours."""

    def refused(self, queue: str, body: bytes, problem: str) -> None:
        super().refused(queue, body, problem)
        raise RuntimeError("a defect in the worker")


def test_a_defect_while_deliveries_are_read_loses_none_of_those_behind_it() -> None:
    travel, intake = EmbeddedTravel(uuid.uuid4().bytes), ClumsyIntake(slots=10)
    travel.put(b"nonsense")
    consumer, sent = with_two_deliveries(travel, intake)

    with pytest.raises(RuntimeError):
        consumer.claimed()

    require_handed_out(consumer, sent)
    consumer.close()
    assert (len(intake.rejected), travel.dead_letters(), travel.ready()) == (1, 1, 0)


@pytest.mark.parametrize("step", ["claim.received", "claim.committed", "claim.acknowledged"])
def test_a_defect_between_two_steps_of_a_claim_runs_and_takes_each_task_once(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    travel, intake = EmbeddedTravel(uuid.uuid4().bytes), FakeIntake(slots=10)
    consumer, sent = with_two_deliveries(travel, intake)
    accepted: list[int] = []
    accept = consumer._source.accept_through

    def noted(tag: int) -> None:
        accepted.append(tag)
        accept(tag)

    monkeypatch.setattr(consumer._source, "accept_through", noted)

    # A step acknowledges what the one before has claimed.
    ran = consumer.claimed() if step == "claim.acknowledged" else []
    with armed(f"{step}:error"), pytest.raises(FailpointError):
        consumer.claimed()

    require_handed_out(consumer, sent, ran)
    eventually(lambda: not (consumer.claimed() or consumer.held or travel.ready()))
    consumer.close()
    assert (intake.mine, travel.ready()) == (sent, 0)
    # On the channel that they came from, and never the tag of an earlier one.
    assert len(accepted) == 1


def with_two_deliveries(
    travel: EmbeddedTravel, intake: FakeIntake
) -> tuple[ClaimingConsumer, list[Dispatch]]:
    """A consumer that has opened its source, where two deliveries wait."""
    sent = dispatches(2)
    travel.put(*(encode(each, travel.deployment_id) for each in sent))
    name = broker_queue(QUEUE, travel.deployment_id)
    consumer = travel.broker(intake).consume(name, timeout=10)
    assert consumer.claimed() == []
    return consumer, sent


def require_handed_out(
    consumer: ClaimingConsumer, sent: list[Dispatch], before: Sequence[Dispatch] = ()
) -> None:
    ran = list(before)

    def are_handed_out() -> bool:
        ran.extend(consumer.claimed())
        return ran == sent

    eventually(are_handed_out)


@pytest.mark.parametrize("error", [SourceLost("gone"), RuntimeError("a defect")])
def test_what_was_claimed_is_handed_out_although_its_acknowledgement_failed_at_the_end(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    travel, intake = EmbeddedTravel(uuid.uuid4().bytes), FakeIntake(slots=10)
    consumer, sent = with_two_deliveries(travel, intake)
    require_handed_out(consumer, sent)

    def refuse(tag: int) -> None:
        raise error

    monkeypatch.setattr(consumer._source, "accept_through", refuse)
    assert consumer.end(timeout=5)
    assert travel.ready() == 2  # Copies, which are claimed by nobody.


def test_what_was_claimed_is_acknowledged_at_the_end() -> None:
    travel, intake = EmbeddedTravel(uuid.uuid4().bytes), FakeIntake(slots=10)
    consumer, sent = with_two_deliveries(travel, intake)
    require_handed_out(consumer, sent)
    assert consumer.end(timeout=5)
    assert travel.ready() == 0
