"""One task to submit, as a message: what clients send, what handlers submit, and what follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypedDict

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message

from taskwire.v1 import options_pb2, task_pb2, task_service_pb2

SubmitTaskRequest = task_service_pb2.SubmitTaskRequest

TYPE_URL = "type.googleapis.com/"


class When(StrEnum):
    """Which end of a task is followed."""

    SUCCESS = "success"
    FAILURE = "failure"
    """It has FAILED or EXPIRED; a cancelled task has not failed."""

    ALWAYS = "always"
    """Cancelled tasks too."""


_CONDITIONS = {
    When.SUCCESS: task_pb2.FOLLOW_UP_CONDITION_ON_SUCCESS,
    When.FAILURE: task_pb2.FOLLOW_UP_CONDITION_ON_FAILURE,
    When.ALWAYS: task_pb2.FOLLOW_UP_CONDITION_ALWAYS,
}


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A task to submit when another one has ended, once: `FollowUp("failure", mail)`.

    `outcome_field` names the field of `input` that takes the outcome: the result of the first
    task (with "success"), or the ended task if it is a `taskwire.v1.Task`. `delay` counts from
    that end. The rest is as for any submission.
    """

    when: When | str
    input: Message
    type: str = ""
    outcome_field: str = ""
    delay: timedelta | None = None
    schedule_time: datetime | None = None
    labels: Mapping[str, str] | None = None
    overrides: options_pb2.TaskOverrides | None = None
    follow_ups: Sequence[FollowUp] = ()

    def message(self) -> task_service_pb2.FollowUp:
        """It in the contract's form.

        Raises:
            ValueError: `when` is no `When`.
        """
        return task_service_pb2.FollowUp(
            condition=_CONDITIONS[When(self.when)],
            outcome_field=self.outcome_field,
            request=submission(
                self.input,
                type=self.type,
                delay=self.delay,
                schedule_time=self.schedule_time,
                labels=self.labels,
                overrides=self.overrides,
                follow_ups=self.follow_ups,
            ),
        )


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
    follow_ups: Sequence[FollowUp]


def submission(
    input: Message,
    *,
    type: str = "",
    labels: Mapping[str, str] | None = None,
    delay: timedelta | None = None,
    schedule_time: datetime | None = None,
    overrides: options_pb2.TaskOverrides | None = None,
    follow_ups: Sequence[FollowUp] = (),
) -> SubmitTaskRequest:
    """The request that submits a task with the input message `input`."""
    request = SubmitTaskRequest(
        type=type,
        overrides=overrides,
        labels=labels,
        follow_ups=[each.message() for each in follow_ups],
    )
    request.input.CopyFrom(packed(input))
    if delay is not None:
        request.delay.FromTimedelta(delay)
    if schedule_time is not None:
        request.schedule_time.FromDatetime(schedule_time)
    return request


def packed(message: Message) -> Any:
    """`message` in an Any, whatever pool its class is of."""
    return Any(
        type_url=TYPE_URL + message.DESCRIPTOR.full_name,
        value=message.SerializeToString(deterministic=True),
    )
