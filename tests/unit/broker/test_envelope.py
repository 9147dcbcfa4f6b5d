"""The message's body: what Dramatiq sees in it, and that nothing else is accepted."""

from __future__ import annotations

import json
import uuid

import pytest
from dramatiq import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from taskwire_broker.envelope import BadEnvelope, ForeignDeployment, decode, encode
from taskwire_broker.topology import broker_queue
from taskwire_core.task import Dispatch

DEPLOYMENT = uuid.UUID("0199f0aa-7b5c-7000-8000-0123456789ab").bytes
FIELDS = sorted(Message.__dataclass_fields__)
DISPATCH = Dispatch(uuid.uuid4().bytes, "acme.v1.Tasks/Run", "default", 3)


@settings(deadline=None)
@given(task=st.uuids(), number=st.integers(1, 2**63 - 1), type=st.text(min_size=3, max_size=100))
def test_what_goes_in_comes_out(task: uuid.UUID, number: int, type: str) -> None:
    try:
        type.encode()
    except UnicodeEncodeError:
        return
    sent = Dispatch(task.bytes, type, "default", number)
    assert decode(encode(sent, DEPLOYMENT), queue="default", deployment_id=DEPLOYMENT) == sent


def test_dramatiq_reads_the_body_as_one_of_its_messages() -> None:
    message: Message[None] = Message.decode(encode(DISPATCH, DEPLOYMENT))

    assert message.queue_name == broker_queue("default", DEPLOYMENT)
    assert message.actor_name == "acme.v1.Tasks/Run"
    assert (message.args, message.options) == ((), {})
    assert message.kwargs == {
        "deployment": DEPLOYMENT.hex(),
        "task": str(uuid.UUID(bytes=DISPATCH.task_id)),
        "dispatch": 3,
    }


def test_fields_that_a_newer_version_adds_are_passed_over() -> None:
    fields = json.loads(encode(DISPATCH, DEPLOYMENT))
    fields["trace"] = {"new": [1]}
    fields["kwargs"]["hint"] = "x"

    body = json.dumps(fields).encode()

    assert decode(body, queue="default", deployment_id=DEPLOYMENT) == DISPATCH


def test_another_deployments_message_says_so() -> None:
    with pytest.raises(ForeignDeployment):
        decode(encode(DISPATCH, DEPLOYMENT), queue="default", deployment_id=uuid.uuid4().bytes)


def test_a_message_of_another_queue_is_refused() -> None:
    with pytest.raises(BadEnvelope, match="another queue"):
        decode(encode(DISPATCH, DEPLOYMENT), queue="other", deployment_id=DEPLOYMENT)


def test_the_complaint_quotes_nothing_of_the_body() -> None:
    body = encode(DISPATCH, DEPLOYMENT).replace(b'"options":{}', b'"options":"hunter2"')
    with pytest.raises(BadEnvelope) as problem:
        decode(body, queue="default", deployment_id=DEPLOYMENT)
    assert "hunter2" not in str(problem.value)


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_a_dispatch_or_a_bad_envelope(body: bytes) -> None:
    with pytest.raises(BadEnvelope):
        decode(body, queue="default", deployment_id=DEPLOYMENT)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@settings(deadline=None)
@given(field=st.sampled_from(FIELDS), value=json_values)
def test_any_value_in_any_field_is_a_dispatch_or_a_bad_envelope(field: str, value: object) -> None:
    fields = json.loads(encode(DISPATCH, DEPLOYMENT))
    fields[field] = value
    try:
        decoded = decode(json.dumps(fields).encode(), queue="default", deployment_id=DEPLOYMENT)
    except BadEnvelope:
        return
    assert decoded.task_id == DISPATCH.task_id
