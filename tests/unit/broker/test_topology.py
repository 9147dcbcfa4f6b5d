"""Queue names: one for each queue of each deployment, and none that Dramatiq reads otherwise."""

from __future__ import annotations

import uuid

import pytest
from dramatiq.brokers.rabbitmq import DEAD_MESSAGE_TTL, RabbitmqBroker
from dramatiq.common import dq_name, q_name, xq_name
from hypothesis import given, settings
from hypothesis import strategies as st

from taskwire_broker.topology import (
    broker_queue,
    dead_letter_arguments,
    dead_letter_queue,
    logical_queue,
    queue_arguments,
)
from taskwire_core.options import QUEUE_NAME
from taskwire_core.queue_type import QueueType

names = st.from_regex(QUEUE_NAME, fullmatch=True)
tails = st.sampled_from(["", ".DQ", ".XQ", ".DQ.XQ"])


types = st.sampled_from(QueueType)


@settings(deadline=None)
@given(name=names, tail=tails, deployment=st.uuids(), type=types)
def test_a_queue_is_found_again_in_its_name(
    name: str, tail: str, deployment: uuid.UUID, type: QueueType
) -> None:
    queue = (name + tail)[:128]
    assert logical_queue(broker_queue(queue, deployment.bytes, type)) == queue


@settings(deadline=None)
@given(name=names, other=names, deployment=st.uuids())
def test_a_classic_and_a_quorum_queue_never_share_a_name(
    name: str, other: str, deployment: uuid.UUID
) -> None:
    full = broker_queue(name, deployment.bytes, QueueType.QUORUM)
    assert full != broker_queue(other, deployment.bytes)
    assert queue_arguments(full)["x-queue-type"] == "quorum"
    assert dead_letter_arguments(full)["x-queue-type"] == "quorum"


def test_a_quorum_queue_never_drops_what_was_given_back_too_often() -> None:
    """RabbitMQ 4 does so after 20 times by default, and 3.10 at once when it is told -1."""
    name = broker_queue("some.queue", uuid.uuid4().bytes, QueueType.QUORUM)
    assert queue_arguments(name)["x-delivery-limit"] > 1_000_000_000


@settings(deadline=None)
@given(name=names, tail=tails, type=types)
def test_no_name_looks_like_a_queue_of_dramatiqs_own(name: str, tail: str, type: QueueType) -> None:
    full = broker_queue(name + tail, uuid.uuid4().bytes, type)
    assert q_name(full) == full
    assert dq_name(full) != full
    assert dead_letter_queue(full) == xq_name(full)


@pytest.mark.parametrize(
    "name",
    ["default", "tw1.default", "tw2.x.0123abcd", "tw1..0123abcd", "tw1q.default", "tw1q..0123abcd"],
)
def test_a_name_that_is_none_of_ours_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not the name"):
        logical_queue(name)


def test_the_arguments_of_a_classic_queue_are_dramatiqs_own() -> None:
    """A queue that is declared twice with different arguments is answered with 406."""
    stock = RabbitmqBroker(middleware=[])
    name = broker_queue("some.queue", uuid.uuid4().bytes)
    arguments = stock._build_queue_arguments(name)  # type: ignore[no-untyped-call]
    assert queue_arguments(name) == arguments
    assert dead_letter_arguments(name) == {"x-message-ttl": DEAD_MESSAGE_TTL}
