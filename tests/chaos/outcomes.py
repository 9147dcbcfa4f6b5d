"""What an error says of a call: that nothing happened, that nobody knows, or how a task ended.

A wrong "refused" would hide a task that was doubled, and a wrong "unknown" only weakens the check.
So refused is what the server itself says in so many words; everything else is unknown. UNAVAILABLE
never is a refusal: the client has repeated the call, and may have been cut off after a commit.
"""

from __future__ import annotations

import grpc
from google.rpc import status_pb2

from taskwire.client.errors import TASKWIRE_DOMAIN, CallFailed
from tests.chaos.records import Call, Fail, Ok, Outcome, Told, Unknown

_REFUSALS = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)

_ENDS = {
    "TASK_CANCELLED": "CANCELLED",
    "TASK_EXPIRED": "EXPIRED",
    "TASK_TIMED_OUT": "FAILED",
    "UNEXPECTED_EXCEPTION": "FAILED",
    "WORKER_LOST": "FAILED",
    "TASK_POISONOUS": "FAILED",
    "BAD_RESULT": "FAILED",
    "INPUT_UNREADABLE": "FAILED",
}
"""How a task has ended for which a durable call was answered with such a reason."""

_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


def outcome(op: int, at: float, call: Call, error: CallFailed) -> Outcome:
    """What became of an operation that was answered with `error`."""
    code, reason, message = error.code.name, error.reason, error.message
    task_id = error.metadata.get("taskId", "")
    if call == "durable" and task_id and (state := _end(error)):
        told = (Told(task_id, state=state),)
        return Ok(at, op, told=told, code=code, reason=reason, message=message)
    if _refused(call, error):
        return Fail(at, op, code, reason, message)
    return Unknown(at, op, code, reason, message, task_id)


def outcome_of_item(op: int, at: float, call: Call, status: status_pb2.Status) -> Outcome:
    """What became of one item of a batch or of a stream that was answered with `status`."""
    code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    return outcome(op, at, call, CallFailed(code, status.message, status))


def _end(error: CallFailed) -> str:
    if error.domain != TASKWIRE_DOMAIN:
        return "FAILED" if error.domain else ""
    return _ENDS.get(error.reason, "")


def _refused(call: Call, error: CallFailed) -> bool:
    if error.domain != TASKWIRE_DOMAIN or error.code not in _REFUSALS:
        return False
    # A repeated call does not find what the first one has deleted.
    return not (call == "delete" and error.code is grpc.StatusCode.NOT_FOUND)
