"""What is wrong with a submission, and the one error that says all of it."""

from __future__ import annotations

from dataclasses import dataclass

from taskwire_contracts.validation import join
from taskwire_core.errors import (
    Conflict,
    FieldViolation,
    InvalidRequest,
    RequestError,
)

_SENTENCES = {
    "FIELD_VIOLATION": "The request is not valid; correct the fields that the details name.",
    "CONFLICTING_FIELDS": "Set schedule_time or delay, not both.",
    "TIME_OUT_OF_RANGE": "The task would be due too far ahead; choose an earlier time.",
    "WRONG_INPUT_TYPE": "The input is not the message that this task type takes.",
    "MALFORMED_REQUEST": "The input's bytes are not a message of its type; encode it again.",
    "PAYLOAD_TOO_LARGE": "The input is too large; pass a reference to it instead.",
    "INVALID_FOLLOW_UP": "A follow-up cannot be submitted as it is; correct it.",
}


@dataclass(frozen=True, slots=True)
class Complaint:
    """One violation with the reason that it would have alone."""

    reason: str
    violation: FieldViolation


def about(path: str, text: str, *, reason: str = "FIELD_VIOLATION") -> Complaint:
    """The complaint that the field at `path` `text`."""
    return Complaint(reason, FieldViolation(path, text))


def refused(complaints: list[Complaint]) -> InvalidRequest:
    """INVALID_ARGUMENT with all of `complaints`, and their reason if they share one."""
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
