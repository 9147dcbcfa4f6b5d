"""One task to submit, as a message: what clients send and what handlers submit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TypedDict

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message

from taskwire.v1 import options_pb2, task_service_pb2

SubmitTaskRequest = task_service_pb2.SubmitTaskRequest

TYPE_URL = "type.googleapis.com/"


class SubmitOptions(TypedDict, total=False):
    """What may be said of a task beside its input.

    `type` ("package.Service/Method") may be left out, since its input belongs to it alone. An
    aware `schedule_time` or a `delay` puts its start off.
    """

    type: str
    labels: Mapping[str, str] | None
    delay: timedelta | None
    schedule_time: datetime | None
    overrides: options_pb2.TaskOverrides | None


def submission(
    input: Message,
    *,
    type: str = "",
    labels: Mapping[str, str] | None = None,
    delay: timedelta | None = None,
    schedule_time: datetime | None = None,
    overrides: options_pb2.TaskOverrides | None = None,
) -> SubmitTaskRequest:
    """The request that submits a task with the input message `input`."""
    request = SubmitTaskRequest(type=type, overrides=overrides, labels=labels)
    request.input.CopyFrom(packed(input))
    if delay is not None:
        request.delay.FromTimedelta(delay)
    if schedule_time is not None:
        request.schedule_time.FromDatetime(schedule_time)
    return request


def packed(message: Message) -> Any:
    """`message` with its name beside its bytes."""
    return Any(
        type_url=TYPE_URL + message.DESCRIPTOR.full_name,
        value=message.SerializeToString(deterministic=True),
    )
