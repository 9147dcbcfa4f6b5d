"""From a SubmitTaskRequest to a NewTask: every check without a store, all complaints at once.

The gateway asks for what callers submit, the worker for what handlers submit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from google.protobuf.message import DecodeError

from taskwire.v1 import task_service_pb2
from taskwire_contracts.contracts import Contracts, TaskType
from taskwire_contracts.conversion import read_overrides
from taskwire_contracts.limits import Limits
from taskwire_contracts.request_hash import request_hash
from taskwire_contracts.schedule import due_us
from taskwire_contracts.validation import Rules, join
from taskwire_core.errors import (
    Conflict,
    FieldViolation,
    InvalidRequest,
    NotFound,
    RequestError,
)
from taskwire_core.ids import new_id
from taskwire_core.options import TaskOptions, merge, problems
from taskwire_core.task import NewTask, Payload

SubmitTaskRequest = task_service_pb2.SubmitTaskRequest
RetryTaskRequest = task_service_pb2.RetryTaskRequest

_REASON_OF_RULE = {"message.oneof": "CONFLICTING_FIELDS"}
_SENTENCES = {
    "FIELD_VIOLATION": "The request is not valid; correct the fields that the details name.",
    "CONFLICTING_FIELDS": "Set schedule_time or delay, not both.",
    "TIME_OUT_OF_RANGE": "The task would be due too far ahead; choose an earlier time.",
    "WRONG_INPUT_TYPE": "The input is not the message that this task type takes.",
    "MALFORMED_REQUEST": "The input's bytes are not a message of its type; encode it again.",
    "PAYLOAD_TOO_LARGE": "The input is too large; pass a reference to it instead.",
}


@dataclass(frozen=True, slots=True)
class Complaint:
    """One violation with the reason that it would have alone."""

    reason: str
    violation: FieldViolation


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
        complaints = self._shape(request, prefix, brief=brief)
        task_type = self._type_of(request, prefix, complaints)
        path = join(prefix, input_path)
        data = self._input(request, task_type, path, complaints, brief=brief)
        options = self._options(request, task_type, prefix, complaints)
        now_us = self._clock.now_us()
        due, late = due_us(request, now_us=now_us, ahead=self._limits.ahead)
        complaints += [Complaint(reason, _within(prefix, found)) for reason, found in late]
        if complaints:
            raise _refusal(complaints)
        return NewTask(
            id=new_id(),
            type=task_type.name,
            owner=owner,
            input=Payload(task_type.input_descriptor.full_name, data),
            options=options,
            create_time_us=now_us,
            schedule_time_us=due,
            labels=dict(request.labels),
            request_id=request.request_id or None,
            request_hash=self.hash_of(request, task_type.name, data) if request.request_id else b"",
        )

    def hash_of(self, request: SubmitTaskRequest, task_type: str, data: bytes) -> bytes:
        """The request's hash, given its type's name and its input's deterministic bytes."""
        return request_hash(request, task_type=task_type, input_data=data)

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
                complaints.append(Complaint("FIELD_VIOLATION", FieldViolation(path, text)))
            raise _refusal(complaints)
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
        brief: bool,
    ) -> bytes:
        """The input's deterministic bytes, having added what is wrong with it to `complaints`."""
        expected, sent = task_type.input_descriptor.full_name, _input_name(request)
        value = request.input.value
        if not request.HasField("input"):
            return value  # The rules of the request complain about that.
        if len(value) > self._limits.payload_bytes:
            text = f"has {len(value)} bytes; at most {self._limits.payload_bytes} are allowed"
            complaints.append(Complaint("PAYLOAD_TOO_LARGE", FieldViolation(path, text)))
            return value
        if sent != expected:
            found = sent[:200] or "message without a type"
            text = f"is a {found}; {task_type.name} takes a {expected}"
            complaints.append(Complaint("WRONG_INPUT_TYPE", FieldViolation(path, text)))
            return value
        try:
            message = task_type.input_class.FromString(value)
        except DecodeError:
            text = f"is not a {expected} in protobuf's wire form"
            complaints.append(Complaint("MALFORMED_REQUEST", FieldViolation(path, text)))
            return value
        complaints += [
            Complaint("FIELD_VIOLATION", violation)
            for violation in self._rules.violations(message, path, brief=brief)
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
            complaints.append(Complaint("FIELD_VIOLATION", FieldViolation(path, problem.message)))
        return options


def _input_name(request: SubmitTaskRequest | RetryTaskRequest) -> str:
    return request.input.type_url.rpartition("/")[2]


def _within(prefix: str, violation: FieldViolation) -> FieldViolation:
    return FieldViolation(join(prefix, violation.field), violation.description, violation.rule)


def _refusal(complaints: list[Complaint]) -> InvalidRequest:
    reasons = {complaint.reason for complaint in complaints}
    reason = reasons.pop() if len(reasons) == 1 else "FIELD_VIOLATION"
    violations = [complaint.violation for complaint in complaints]
    return refusal(reason, violations)


def refusal(reason: str, violations: list[FieldViolation]) -> InvalidRequest:
    """INVALID_ARGUMENT with its fixed sentence and the first thing that is wrong."""
    first = violations[0]
    named = f" {first.field}: {first.description}." if first.field else _whole(first.description)
    more = f" And {len(violations) - 1} more." if len(violations) > 1 else ""
    return InvalidRequest(reason, _SENTENCES[reason] + named + more, violations=violations)


def _whole(description: str) -> str:
    """The description of something without a path: the message as a whole."""
    text = f"It {description}" if description.startswith(("is ", "has ")) else description
    return f" {text[:1].upper()}{text[1:]}."


def request_id_reused(request_id: str, prefix: str = "") -> Conflict:
    """ALREADY_EXISTS: the request id made a task of other content before."""
    return Conflict(
        "REQUEST_ID_REUSED",
        f"The request id {request_id} was used for another task; choose a new one.",
        metadata={"requestId": request_id},
        violations=[FieldViolation(join(prefix, "request_id"), "was used with other content")],
    )


def merged(errors: list[RequestError]) -> RequestError:
    """One error for several items of a batch, with the violations of all of them."""
    violations = [violation for error in errors for violation in error.violations]
    reasons = {error.reason for error in errors}
    if len(reasons) > 1:
        return refusal("FIELD_VIOLATION", violations)
    if len(errors) == 1:
        return errors[0]
    first = errors[0]
    return type(first)(
        first.reason,
        f"{first.message} And {len(errors) - 1} more items.",
        metadata=first.metadata,
        violations=violations,
    )
