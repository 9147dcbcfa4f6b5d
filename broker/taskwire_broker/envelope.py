"""What a message says: which dispatch of which task, of which deployment, and nothing else.

The body is a Dramatiq JSON message, so that Dramatiq's own tools can show it. It carries ids
only; no payload and no secret ever goes to the broker. Dramatiq's decoder checks no types,
and a body with a surprise in it can stop its consumer or its threads for good: this one
accepts exactly what `encode` writes (and fields that a newer version may add). Whatever type
its queue has, a message names the classic one: so it may be moved from one type to the other.
"""

from __future__ import annotations

import time
from typing import Annotated

import msgspec

from taskwire_broker.topology import broker_queue
from taskwire_core.ids import to_text
from taskwire_core.task import Dispatch

MAX_BODY_BYTES = 16_384


class BadEnvelope(Exception):
    """A body that is no message of ours; the text says why and quotes nothing of it."""


class ForeignDeployment(BadEnvelope):
    """A message of another deployment, whose ids this database does not know."""


class _Call(msgspec.Struct):
    deployment: str
    task: str
    dispatch: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


class _Body(msgspec.Struct):
    queue_name: str
    actor_name: Annotated[str, msgspec.Meta(min_length=3, max_length=1024)]
    args: Annotated[list[int], msgspec.Meta(max_length=0)]
    kwargs: _Call
    options: Annotated[dict[str, int], msgspec.Meta(max_length=0)]
    message_id: str
    message_timestamp: int


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Body)


def encode(dispatch: Dispatch, deployment_id: bytes) -> bytes:
    """The body that carries `dispatch`, about 300 bytes."""
    task = to_text(dispatch.task_id)
    return _encoder.encode(
        _Body(
            queue_name=broker_queue(dispatch.queue, deployment_id),
            actor_name=dispatch.type,
            args=[],
            kwargs=_Call(deployment=deployment_id.hex(), task=task, dispatch=dispatch.number),
            options={},
            message_id=f"{task}.{dispatch.number}",
            message_timestamp=time.time_ns() // 1_000_000,
        )
    )


def decode(body: bytes, *, queue: str, deployment_id: bytes) -> Dispatch:
    """The dispatch that `body`, taken from the deployment's queue `queue`, carries.

    Raises:
        ForeignDeployment: it belongs to another deployment.
        BadEnvelope: it has any other shape than `encode` gives.
    """
    if len(body) > MAX_BODY_BYTES:
        raise BadEnvelope(f"the body has {len(body)} bytes; at most {MAX_BODY_BYTES} are allowed")
    try:
        message = _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
        # The library's text names the field and the expected type, never a value.
        raise BadEnvelope(f"the body is not a taskwire message: {problem}") from None
    call = message.kwargs
    # The deployment is asked first: a foreign message has a foreign queue name as well.
    if call.deployment != deployment_id.hex():
        raise ForeignDeployment("the message belongs to another deployment")
    if message.queue_name != broker_queue(queue, deployment_id):
        raise BadEnvelope("the message names another queue than the one it was taken from")
    return Dispatch(
        task_id=_task_id(call.task), type=message.actor_name, queue=queue, number=call.dispatch
    )


def _task_id(text: str) -> bytes:
    try:
        value = bytes.fromhex(text.replace("-", ""))
    except ValueError:
        value = b""
    if len(value) != 16 or len(text) != 36:
        raise BadEnvelope("the task's id is not a UUID")
    return value
