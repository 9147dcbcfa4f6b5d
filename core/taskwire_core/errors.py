"""The errors that taskwire's own code raises towards a caller.

RequestError
├── InvalidRequest     the caller must change the request
├── NotFound           no such thing, or not theirs
├── Conflict           it exists already, with other content
├── Unready            the system's state does not allow it now
├── Refused            a limit was reached
└── Unavailable        a blind retry may succeed

Each carries a reason (a name of `taskwire.v1.ErrorReason` without its prefix), a sentence
that says what to do, and every dynamic value in `metadata`. The gateway's one error
interceptor turns them into statuses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from taskwire_core.failure import Code


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One thing wrong with a request: the field's path (`input.url`), a sentence, the rule's id."""

    field: str
    description: str
    rule: str = ""


class RequestError(Exception):
    """A call that is answered with `code`; `message` says what happened and what to do."""

    code = Code.INTERNAL

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        code: Code | None = None,
        violations: Sequence[FieldViolation] = (),
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata or {})
        self.code = self.code if code is None else code
        self.violations = tuple(violations)
        self.retry_after = retry_after


class InvalidRequest(RequestError):
    """INVALID_ARGUMENT: the request itself is wrong."""

    code = Code.INVALID_ARGUMENT


class NotFound(RequestError):
    """NOT_FOUND: there is no such thing, or it is not the caller's."""

    code = Code.NOT_FOUND


class Conflict(RequestError):
    """ALREADY_EXISTS: the name or id is taken by something else."""

    code = Code.ALREADY_EXISTS


class Unready(RequestError):
    """FAILED_PRECONDITION: it cannot be done in the present state."""

    code = Code.FAILED_PRECONDITION


class Refused(RequestError):
    """RESOURCE_EXHAUSTED: a limit was reached."""

    code = Code.RESOURCE_EXHAUSTED


class Unavailable(RequestError):
    """UNAVAILABLE: a blind retry may succeed."""

    code = Code.UNAVAILABLE


class StoreUnavailable(Exception):
    """The database does not answer, is locked for too long, or is full; nothing was written.

    `advice` tells an operator what to do about it.
    """

    def __init__(
        self, what: str, *, advice: str = "check TASKWIRE_DATABASE_URL and that the server runs"
    ) -> None:
        super().__init__(what)
        self.advice = advice


class OutcomeUnknown(StoreUnavailable):
    """The same, but it was written or it was not: the answer to a commit was lost.

    Whoever repeats what they asked for must be ready to find it done.
    """


class ConfigurationError(Exception):
    """A process cannot start as it is configured; the text is one line that says what to do."""
