"""From a SubmitTaskRequest to a NewTask: every check without a store, all complaints at once.

The gateway asks for what callers submit, the worker for what handlers submit.
"""

from __future__ import annotations

from typing import Protocol

from google.protobuf.message import DecodeError

from taskwire.v1 import task_service_pb2
from taskwire_contracts.complaints import Complaint, about, refused
from taskwire_contracts.contracts import Contracts, TaskType
from taskwire_contracts.conversion import read_overrides
from taskwire_contracts.follow_ups import (
    FollowUpMessage,
    condition_of,
    field_to_fill,
    outcome_field,
    refuse_long_chain,
    set_in_vain,
    with_placeholder,
)
from taskwire_contracts.limits import Limits
from taskwire_contracts.request_hash import request_hash
from taskwire_contracts.schedule import due_us
from taskwire_contracts.validation import Rules, join
from taskwire_core.errors import FieldViolation, NotFound
from taskwire_core.ids import new_id
from taskwire_core.options import TaskOptions, merge, problems
from taskwire_core.task import FollowUp, NewTask, Payload

SubmitTaskRequest = task_service_pb2.SubmitTaskRequest
RetryTaskRequest = task_service_pb2.RetryTaskRequest

_REASON_OF_RULE = {"message.oneof": "CONFLICTING_FIELDS"}


class Clock(Protocol):
    """Where the present comes from."""

    def now_us(self) -> int:
        """Microseconds since 1970."""


class Preparation:
    """Makes tasks out of requests. Knows contracts, rules, limits and the time; no store."""

    def __init__(self, contracts: Contracts, clock: Clock, limits: Limits, rules: Rules) -> None:
        self._contracts = contracts
        self._clock = clock
        self._limits = limits
        self._rules = rules

    def checked(
        self,
        request: SubmitTaskRequest,
        *,
        owner: str,
        prefix: str = "",
        input_path: str = "input",
        brief: bool = False,
    ) -> NewTask:
        """The task that `request` asks for.

        `prefix` begins the paths of all violations ("requests[7]"), and `input_path` within it
        those of the input's. With `brief` the rules of the request and of its input name one
        violation each.

        Raises:
            InvalidRequest: with all violations.
            NotFound: no loaded contract has such a task type.
        """
        refuse_long_chain(request, prefix, self._limits)
        complaints = self._shape(request, prefix, brief=brief)
        task_type = self._type_of(request, prefix, complaints)
        path = join(prefix, input_path)
        data = self._input(request, task_type, path, complaints, brief=brief)
        options = self._options(request, task_type, prefix, complaints)
        now_us = self._clock.now_us()
        due = self._due_us(request, prefix, complaints, now_us)
        follow_ups = self._follow_ups(request, task_type, prefix, complaints, now_us)
        if complaints:
            raise refused(complaints)
        return NewTask(
            id=new_id(),
            type=task_type.name,
            owner=owner,
            input=Payload(task_type.input_descriptor.full_name, data),
            options=options,
            create_time_us=now_us,
            schedule_time_us=due,
            # To copy an empty map takes a tenth of the time of all that is checked here.
            labels=dict(request.labels) if request.labels else {},
            request_id=request.request_id or None,
            request_hash=self.hash_of(request, task_type.name, data) if request.request_id else b"",
            follow_ups=follow_ups,
        )

    def hash_of(self, request: SubmitTaskRequest, task_type: str, data: bytes) -> bytes:
        """The request's hash, given its type's name and its input's deterministic bytes."""
        follow_ups = [self._hash_of_follow_up(each) for each in request.follow_ups]
        return request_hash(request, task_type=task_type, input_data=data, follow_ups=follow_ups)

    def _hash_of_follow_up(self, plan: FollowUpMessage) -> bytes:
        request = plan.request
        known = self._contracts.by_input.get(_input_name(request))
        task_type = request.type or (known.name if known is not None else "")
        inner = self.hash_of(request, task_type, self.canonical_input(request))
        return f"{plan.condition} {plan.outcome_field} ".encode() + inner

    def canonical_input(self, request: SubmitTaskRequest | RetryTaskRequest) -> bytes:
        """The input re-serialised deterministically where its type is loaded, else as sent."""
        known = self._contracts.message_class(_input_name(request))
        if known is None:
            return request.input.value
        try:
            return known.FromString(request.input.value).SerializeToString(deterministic=True)
        except DecodeError:
            return request.input.value

    def _shape(self, request: SubmitTaskRequest, prefix: str, *, brief: bool) -> list[Complaint]:
        return [
            Complaint(_REASON_OF_RULE.get(found.rule, "FIELD_VIOLATION"), found)
            for found in self._rules.violations(request, prefix, brief=brief)
        ]

    def _type_of(
        self, request: SubmitTaskRequest, prefix: str, complaints: list[Complaint]
    ) -> TaskType:
        input_name = _input_name(request)
        if request.type:
            found = self._contracts.find(request.type)
        elif input_name:
            found = self._contracts.by_input.get(input_name)
        else:
            if request.HasField("input"):
                path = join(prefix, "input.@type")
                text = "is required where no task type is named"
                complaints.append(about(path, text))
            raise refused(complaints)
        if found is None:
            raise self._unknown_type(request.type, input_name, prefix)
        return found

    def _unknown_type(self, name: str, input_name: str, prefix: str) -> NotFound:
        if name:
            near = self._contracts.near(name)
            hint = f"; did you mean {' or '.join(near)}?" if near else "; see ListTaskTypes."
            sentence = f"There is no task type {name[:200]}{hint}"
            metadata = {"type": name[:200], "near": ",".join(near)}
        else:
            sentence = f"No task type takes a {input_name[:200]}; see ListTaskTypes."
            metadata = {"inputType": input_name[:200]}
        field = join(prefix, "type" if name else "input")
        return NotFound(
            "TASK_TYPE_NOT_FOUND",
            sentence,
            metadata=metadata,
            violations=[FieldViolation(field, sentence)],
        )

    def _input(
        self,
        request: SubmitTaskRequest,
        task_type: TaskType,
        path: str,
        complaints: list[Complaint],
        *,
        brief: bool = False,
        filled: str = "",
    ) -> bytes:
        """The input's deterministic bytes, having added what is wrong with it to `complaints`.

        `filled` is the message field that is filled later: for the rules it is there and empty.
        """
        expected, sent = task_type.input_descriptor.full_name, _input_name(request)
        value = request.input.value
        if not request.HasField("input"):
            return value  # The rules of the request complain about that.
        if len(value) > self._limits.payload_bytes:
            text = f"has {len(value)} bytes; at most {self._limits.payload_bytes} are allowed"
            complaints.append(about(path, text, reason="PAYLOAD_TOO_LARGE"))
            return value
        if sent != expected:
            found = sent[:200] or "message without a type"
            text = f"is a {found}; {task_type.name} takes a {expected}"
            complaints.append(about(path, text, reason="WRONG_INPUT_TYPE"))
            return value
        try:
            message = task_type.input_class.FromString(value)
        except DecodeError:
            text = f"is not a {expected} in protobuf's wire form"
            complaints.append(about(path, text, reason="MALFORMED_REQUEST"))
            return value
        complaints += [
            Complaint("FIELD_VIOLATION", violation)
            for violation in self._rules.violations(
                with_placeholder(message, filled), path, brief=brief, without=filled
            )
        ]
        return message.SerializeToString(deterministic=True)

    def _options(
        self,
        request: SubmitTaskRequest,
        task_type: TaskType,
        prefix: str,
        complaints: list[Complaint],
    ) -> TaskOptions:
        if not request.HasField("overrides"):
            return task_type.options
        overrides, unreadable = read_overrides(request.overrides)
        options = merge(task_type.options, overrides)
        for problem in [*unreadable, *problems(options)]:
            path = join(prefix, f"overrides.{problem.path}")
            complaints.append(about(path, problem.message))
        return options

    def _due_us(
        self, request: SubmitTaskRequest, prefix: str, complaints: list[Complaint], now_us: int
    ) -> int:
        due, late = due_us(request, now_us=now_us, ahead=self._limits.ahead)
        for reason, found in late:
            complaints.append(about(join(prefix, found.field), found.description, reason=reason))
        return due

    def _follow_ups(
        self,
        request: SubmitTaskRequest,
        followed: TaskType,
        prefix: str,
        complaints: list[Complaint],
        now_us: int,
    ) -> tuple[FollowUp, ...]:
        return tuple(
            self._follow_up(
                plan, followed, join(prefix, f"follow_ups[{index}]"), complaints, now_us
            )
            for index, plan in enumerate(request.follow_ups)
        )

    def _follow_up(
        self,
        plan: FollowUpMessage,
        followed: TaskType,
        path: str,
        complaints: list[Complaint],
        now_us: int,
    ) -> FollowUp:
        """The rules of the whole request have looked at the plan's own fields already."""
        request, inner = plan.request, f"{path}.request"
        complaints += set_in_vain(request, inner)
        task_type = self._type_of(request, inner, complaints)
        outcome = outcome_field(plan, followed, task_type, path, complaints)
        filled = field_to_fill(plan, task_type)
        data = self._input(
            request,
            task_type,
            f"{inner}.input",
            complaints,
            filled="" if filled is None else filled.name,
        )
        due = self._due_us(request, inner, complaints, now_us)
        return FollowUp(
            condition=condition_of(plan),
            type=task_type.name,
            input=Payload(task_type.input_descriptor.full_name, data),
            options=self._options(request, task_type, inner, complaints),
            delay_us=due - now_us if request.HasField("delay") else 0,
            schedule_time_us=due if request.HasField("schedule_time") else 0,
            labels=dict(request.labels),
            outcome=outcome,
            follow_ups=self._follow_ups(request, task_type, inner, complaints, now_us),
        )


def _input_name(request: SubmitTaskRequest | RetryTaskRequest) -> str:
    return request.input.type_url.rpartition("/")[2]
