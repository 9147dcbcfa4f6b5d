"""What went wrong with an attempt or a task, in a form that may be stored and shown."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from msgspec import Struct, field


class Code(IntEnum):
    """The canonical status codes (google.rpc.Code), by number."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


RETRYABLE_CODES = frozenset(
    {
        Code.UNAVAILABLE,
        Code.DEADLINE_EXCEEDED,
        Code.RESOURCE_EXHAUSTED,
        Code.ABORTED,
        Code.INTERNAL,
        Code.UNKNOWN,
    }
)
"""The codes of a handler's error that are retried unless it says `final`; every other is final."""


class FailureKind(IntEnum):
    """Why an attempt failed; the numbers are those of `taskwire.v1.TaskError.Kind`."""

    APPLICATION = 1
    TIMEOUT = 2
    WORKER_LOST = 3
    POISON = 4
    BAD_RESULT = 5


class Failure(Struct, frozen=True):
    """One attempt's failure.

    `message` may be shown to callers: it is the handler's own sentence for an error that
    it raised on purpose and a fixed one otherwise. `stack_trace` is for operators only.
    """

    kind: FailureKind
    code: Code
    reason: str
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    domain: str = ""
    type: str = ""
    stack_trace: str = ""
    retryable: bool = False


TASKWIRE_DOMAIN = "taskwire.dev"


def timed_out(what: str) -> Failure:
    """The failure of a task whose `what` ("attempt_timeout", "total_timeout") has passed."""
    return Failure(
        kind=FailureKind.TIMEOUT,
        code=Code.DEADLINE_EXCEEDED,
        reason="TASK_TIMED_OUT",
        message=f"The task did not end within its {what}.",
        metadata={"timeout": what},
        domain=TASKWIRE_DOMAIN,
        retryable=what == "attempt_timeout",
    )


def worker_lost() -> Failure:
    """The failure of an attempt whose worker went away while it held the task."""
    return Failure(
        kind=FailureKind.WORKER_LOST,
        code=Code.INTERNAL,
        reason="WORKER_LOST",
        message="The worker went away while it ran the task.",
        domain=TASKWIRE_DOMAIN,
        retryable=True,
    )


def poison() -> Failure:
    """The failure of a task that ended its worker process, alone in it, again and again."""
    return Failure(
        kind=FailureKind.POISON,
        code=Code.INTERNAL,
        reason="TASK_POISONOUS",
        message="The task ended its worker process several times and is not run again.",
        domain=TASKWIRE_DOMAIN,
    )
