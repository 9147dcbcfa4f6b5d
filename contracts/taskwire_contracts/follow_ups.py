"""What is wrong with a request's follow-ups, beside what is wrong with any submission."""

from __future__ import annotations

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from taskwire.v1 import task_service_pb2
from taskwire_contracts.complaints import Complaint, about
from taskwire_contracts.contracts import TaskType
from taskwire_contracts.limits import Limits
from taskwire_contracts.validation import join
from taskwire_core.errors import FieldViolation, InvalidRequest
from taskwire_core.follow_up import Condition
from taskwire_core.task import OutcomeField

SubmitTaskRequest = task_service_pb2.SubmitTaskRequest
FollowUpMessage = task_service_pb2.FollowUp

_TASK = "taskwire.v1.Task"
_REASON = "INVALID_FOLLOW_UP"


def condition_of(plan: FollowUpMessage) -> Condition:
    """Its condition; whatever for a number that the rules of the contract refuse."""
    number = int(plan.condition)
    return Condition(number) if number in set(Condition) else Condition.ALWAYS


def chain_length(request: SubmitTaskRequest) -> int:
    """How many tasks follow `request`'s one after another at most."""
    return max((1 + chain_length(each.request) for each in request.follow_ups), default=0)


def refuse_long_chain(request: SubmitTaskRequest, prefix: str, limits: Limits) -> None:
    """Refuse more follow-ups than are worth a look at each.

    Raises:
        InvalidRequest: CHAIN_TOO_LONG, or PAYLOAD_TOO_LARGE.
    """
    if not request.follow_ups:
        return
    # The count comes first: of millions not even the length of their chains is looked at.
    if _count(request, limits.follow_ups + 1) > limits.follow_ups:
        text = f"are more than {limits.follow_ups} in all"
        raise _too_much("CHAIN_TOO_LONG", prefix, text)
    if (length := chain_length(request)) > limits.chain_length:
        text = f"are {length} one after another; at most {limits.chain_length} are allowed"
        raise _too_much("CHAIN_TOO_LONG", prefix, text)
    if (size := request.ByteSize()) > limits.batch_bytes:
        text = f"make a request of {size} bytes; at most {limits.batch_bytes} are allowed"
        raise _too_much("PAYLOAD_TOO_LARGE", prefix, text)


def set_in_vain(request: SubmitTaskRequest, path: str) -> list[Complaint]:
    """Complaints about fields that mean nothing in a follow-up."""
    fields = ("request_id", "validate_only", "require_worker")
    return [
        about(f"{path}.{name}", "must not be set in a follow-up", reason=_REASON)
        for name in fields
        if getattr(request, name)
    ]


def outcome_field(
    plan: FollowUpMessage,
    followed: TaskType,
    following: TaskType,
    path: str,
    complaints: list[Complaint],
) -> OutcomeField | None:
    """Where the outcome goes; None when it goes nowhere, or when that was complained about."""
    if not plan.outcome_field:
        return None
    field = field_to_fill(plan, following)
    problem = (
        _problem(plan, field, followed, following)
        if field is not None
        else f"names no single message of {following.input_descriptor.full_name}"
    )
    if field is None or problem:
        complaints.append(about(f"{path}.outcome_field", problem, reason=_REASON))
        return None
    return OutcomeField(field.number, whole_task=_type_name(field) == _TASK)


def field_to_fill(plan: FollowUpMessage, following: TaskType) -> FieldDescriptor | None:
    """The field of the input that `outcome_field` names; None where it names no message."""
    field = following.input_descriptor.fields_by_name.get(plan.outcome_field)
    if field is None or field.is_repeated or field.type != FieldDescriptor.TYPE_MESSAGE:
        return None
    return field


def with_placeholder(message: Message, field: str) -> Message:
    """`message` with its message field `field` set and empty; itself without a name."""
    if not field:
        return message
    copy = type(message)()
    copy.CopyFrom(message)
    getattr(copy, field).SetInParent()
    return copy


def _problem(
    plan: FollowUpMessage, field: FieldDescriptor, followed: TaskType, following: TaskType
) -> str:
    result = followed.result_descriptor.full_name
    if _type_name(field) == _TASK:
        return _set_already(plan, following)
    if _type_name(field) != result:
        return f"names a {_type_name(field)}; it takes a {result} or a {_TASK}"
    if condition_of(plan) is not Condition.ON_SUCCESS:
        return f"takes a {result}, which only a success has; use ON_SUCCESS or a {_TASK}"
    return _set_already(plan, following)


def _set_already(plan: FollowUpMessage, following: TaskType) -> str:
    try:
        message = following.input_class.FromString(plan.request.input.value)
    except DecodeError:
        return ""  # Which is complained about where the input is.
    if message.HasField(plan.outcome_field):
        return f"names {plan.outcome_field}, which the input sets already"
    return ""


def _type_name(field: FieldDescriptor) -> str:
    return field.message_type.full_name if field.message_type is not None else ""


def _count(request: SubmitTaskRequest, most: int) -> int:
    """How many follow-ups `request` has in all; counts no further than to `most`."""
    count = 0
    for each in request.follow_ups:
        if count >= most:
            break
        count += 1 + _count(each.request, most - count)
    return count


def _too_much(reason: str, prefix: str, text: str) -> InvalidRequest:
    return InvalidRequest(
        reason,
        f"The follow-ups {text}; submit fewer.",
        violations=[FieldViolation(join(prefix, "follow_ups"), text)],
    )
