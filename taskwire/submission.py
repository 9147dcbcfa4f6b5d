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
    task (with "success"), or the ended task if it is a `taskwire.v1.Task`. `delay` (seconds or
    timedelta) counts from that end. The rest is as for any submission.
    """

    when: When | str
    input: Message
    type: str = ""
    outcome_field: str = ""
    delay: timedelta | float | None = None
    schedule_time: datetime | None = None
    labels: Mapping[str, str] | None = None
    overrides: options_pb2.TaskOverrides | None = None
    follow_ups: Sequence[FollowUp] = ()

    def message(self) -> task_service_pb2.FollowUp:
        """It in the contract's form.

        Raises:
            ValueError: `when` is no `When`; and what `submission` raises.
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
    aware `schedule_time` or a `delay` (seconds or timedelta) puts its start off.
    """

    type: str
    labels: Mapping[str, str] | None
    delay: timedelta | float | None
    schedule_time: datetime | None
    overrides: options_pb2.TaskOverrides | None
    follow_ups: Sequence[FollowUp]


def submission(
    input: Message,
    *,
    type: str = "",
    labels: Mapping[str, str] | None = None,
    delay: timedelta | float | None = None,
    schedule_time: datetime | None = None,
    overrides: options_pb2.TaskOverrides | None = None,
    follow_ups: Sequence[FollowUp] = (),
) -> SubmitTaskRequest:
    """The request that submits a task with the input message `input`.

    Raises:
        TypeError: `input` is no message, or a label is no text.
        ValueError: `schedule_time` has no time zone.
    """
    request = SubmitTaskRequest(
        type=type,
        overrides=overrides,
        labels=texts(labels or {}),
        follow_ups=[each.message() for each in follow_ups],
    )
    request.input.CopyFrom(packed(input))
    if delay is not None:
        request.delay.FromTimedelta(as_timedelta(delay))
    if schedule_time is not None:
        # protobuf would take a naive time for UTC, which is hours off elsewhere.
        if schedule_time.utcoffset() is None:
            raise ValueError("schedule_time needs a time zone: datetime.now(UTC) or .astimezone()")
        request.schedule_time.FromDatetime(schedule_time)
    return request


def packed(message: Message) -> Any:
    """`message` in an Any, whatever pool its class is of.

    Raises:
        TypeError: it is no message.
    """
    require_message(message)
    return Any(
        type_url=TYPE_URL + message.DESCRIPTOR.full_name,
        value=message.SerializeToString(deterministic=True),
    )


def as_timedelta(delay: timedelta | float) -> timedelta:
    """`delay`, which is in seconds if it is a number."""
    return delay if isinstance(delay, timedelta) else timedelta(seconds=delay)


def require_message(given: object) -> None:
    """Refuse what is no message: bad input is often a dict, whatever the types say.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(given, Message):
        raise TypeError(
            f"a task's input is a protobuf message, not {type(given).__name__}: make it with the"
            " input's class, or with Client.input_message"
        )


def texts(labels: Mapping[str, str]) -> Mapping[str, str]:
    """`labels`, whose keys and values are texts.

    Raises:
        TypeError: one is none.
    """
    for key, value in labels.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"labels are texts: write {str(key)!r}: {str(value)!r}")
    return labels
