"""The errors that a handler raises on purpose, one class per canonical gRPC code.

HandlerError
├── retried while attempts are left
│   ├── Unknown, DeadlineExceeded, ResourceExhausted, Aborted, Internal, Unavailable
│   └── Retry               no error: "run me again", at a time of the handler's choice
└── final: the task fails at once
    └── Cancelled, InvalidArgument, NotFound, AlreadyExists, PermissionDenied,
        FailedPrecondition, OutOfRange, Unimplemented, DataLoss, Unauthenticated

Any of them becomes the task's error and the status of a durable call: its message, reason
and metadata are shown to the caller. The text of every other exception is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import ClassVar


class HandlerError(Exception):
    """The root of the tree; raise one of its subclasses, or a subclass of your own of one.

    Args:
        message: One sentence for the caller.
        reason: UPPER_SNAKE_CASE, constant for one cause; the code's name when left out.
        metadata: The values that the sentence speaks of, as strings.
        final: True: never retried. False: retried while attempts are left. None: by code.
        retry_delay: Wait this long (seconds or timedelta) instead of the policy's backoff.

    Raises:
        ValueError: `retry_delay` is negative.
    """

    code: ClassVar[int] = 2
    """The number of the google.rpc.Code."""

    code_name: ClassVar[str] = "UNKNOWN"

    retried: ClassVar[bool] = True
    """Whether it is retried when `final` does not say."""

    def __init__(
        self,
        message: str = "",
        *,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        final: bool | None = None,
        retry_delay: timedelta | float | None = None,
    ) -> None:
        super().__init__(message)
        # Another error is often given for the message; it must not cost the attempt later.
        self.message = str(message)
        self.reason = str(reason)
        self.metadata = {str(key): str(value) for key, value in (metadata or {}).items()}
        self.final = final
        self.retry_delay = _duration(retry_delay)

    @property
    def retryable(self) -> bool:
        """Whether another attempt may follow: `final` where it was given, else by the code."""
        return self.retried if self.final is None else not self.final


def _duration(value: timedelta | float | None) -> timedelta | None:
    if value is None:
        return None
    duration = value if isinstance(value, timedelta) else timedelta(seconds=value)
    if duration < timedelta(0):
        raise ValueError("retry_delay must not be negative")
    return duration


class Cancelled(HandlerError):
    """The work was stopped; what `TaskContext.raise_if_cancelled` raises."""

    code = 1
    code_name = "CANCELLED"
    retried = False


class Unknown(HandlerError):
    """Something failed and nobody can say what. Retried."""

    code = 2
    code_name = "UNKNOWN"


class InvalidArgument(HandlerError):
    """The input can never work, whatever the state of the system."""

    code = 3
    code_name = "INVALID_ARGUMENT"
    retried = False


class DeadlineExceeded(HandlerError):
    """Something that the handler waited for took too long. Retried."""

    code = 4
    code_name = "DEADLINE_EXCEEDED"


class NotFound(HandlerError):
    """Something that the input names does not exist."""

    code = 5
    code_name = "NOT_FOUND"
    retried = False


class AlreadyExists(HandlerError):
    """What the task was to make is there already."""

    code = 6
    code_name = "ALREADY_EXISTS"
    retried = False


class PermissionDenied(HandlerError):
    """The task's owner may not do this."""

    code = 7
    code_name = "PERMISSION_DENIED"
    retried = False


class ResourceExhausted(HandlerError):
    """A quota or a resource is used up for now. Retried."""

    code = 8
    code_name = "RESOURCE_EXHAUSTED"


class FailedPrecondition(HandlerError):
    """The system is not in the state that the work needs; somebody has to change it first."""

    code = 9
    code_name = "FAILED_PRECONDITION"
    retried = False


class Aborted(HandlerError):
    """Somebody else was faster, for example in a transaction. Retried."""

    code = 10
    code_name = "ABORTED"


class OutOfRange(HandlerError):
    """The input points past the end of something."""

    code = 11
    code_name = "OUT_OF_RANGE"
    retried = False


class Unimplemented(HandlerError):
    """The handler does not know how to do this."""

    code = 12
    code_name = "UNIMPLEMENTED"
    retried = False


class Internal(HandlerError):
    """Something that must hold does not. Retried."""

    code = 13
    code_name = "INTERNAL"


class Unavailable(HandlerError):
    """Something that the handler needs is away for a moment. Retried."""

    code = 14
    code_name = "UNAVAILABLE"


class DataLoss(HandlerError):
    """Data is lost or corrupt for good."""

    code = 15
    code_name = "DATA_LOSS"
    retried = False


class Unauthenticated(HandlerError):
    """Whoever the handler asked wants other credentials."""

    code = 16
    code_name = "UNAUTHENTICATED"
    retried = False


class Retry(Aborted):
    """Not an error: run the task again, `delay` (seconds or timedelta) from now.

    It uses up one of the task's attempts like any other; without `delay` the policy's
    backoff is waited. When no attempt is left the task fails with `message`.
    """

    def __init__(
        self,
        message: str = "The handler asked for another attempt.",
        *,
        delay: timedelta | float | None = None,
        reason: str = "RETRY_REQUESTED",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, reason=reason, metadata=metadata, final=False, retry_delay=delay)


__all__ = [
    "Aborted",
    "AlreadyExists",
    "Cancelled",
    "DataLoss",
    "DeadlineExceeded",
    "FailedPrecondition",
    "HandlerError",
    "Internal",
    "InvalidArgument",
    "NotFound",
    "OutOfRange",
    "PermissionDenied",
    "ResourceExhausted",
    "Retry",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Unknown",
]
