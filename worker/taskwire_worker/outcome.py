"""How an attempt that ran here ends: pure decisions, from what happened to a settlement.

What happened is one of five things (`Outcome`); `core` knows the arithmetic of retries.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from taskwire.errors import HandlerError
from taskwire_core import recovery
from taskwire_core.caught import Caught, catch, type_name
from taskwire_core.failure import TASKWIRE_DOMAIN, Code, Failure, FailureKind
from taskwire_core.options import MAX_DURATION
from taskwire_core.recovery import Settlement
from taskwire_core.task import Payload, Task

# A durable call's status travels in trailers, which gRPC bounds to some 8 KiB.
MAX_MESSAGE_CHARS = 2048
MAX_METADATA_ENTRIES = 32
MAX_METADATA_CHARS = 256
MAX_STACK_CHARS = 16 * 1024
MAX_REASON_CHARS = 63

_MICROSECOND = timedelta(microseconds=1)


class Stop(StrEnum):
    """Why a running attempt was told to stop."""

    CANCEL = "cancel"
    """Its task was cancelled."""

    DRAIN = "drain"
    """The worker ends and its grace is over."""

    LEASE = "lease"
    """The worker's lease was not renewed: others may run the task already."""


_WHY_GIVEN_BACK = {
    Stop.DRAIN: "the worker was stopped",
    Stop.LEASE: "the worker's lease was not renewed",
}


class Returned(Struct, frozen=True):
    """The handler returned a good result."""

    result: Payload


@dataclass(frozen=True, slots=True)
class Failed:
    """The handler raised, or returned what cannot be a result. `delay` replaces the backoff, and
    `caught` is the exception that it did not foresee, for operators."""

    failure: Failure
    delay: timedelta | None = None
    caught: Caught | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Died:
    """The process that ran this attempt, and no other, is gone."""


@dataclass(frozen=True, slots=True)
class NotBegun:
    """The attempt had to stop before its handler was called."""


@dataclass(frozen=True, slots=True)
class Killed:
    """The attempt's own process was killed: its time was up, or it did not stop when told."""


Outcome = Returned | Failed | Died | NotBegun | Killed


def decide(task: Task, outcome: Outcome, *, stop: Stop | None, now_us: int) -> Settlement:
    """How `task`'s attempt ends, unless somebody else has judged it since.

    An attempt that overran its run deadline has timed out, whatever it came to: by then
    somebody else may have judged it already. A success that was told to stop is a success.
    """
    if task.run_deadline_us is not None and now_us >= task.run_deadline_us:
        return recovery.overran(task, now_us=now_us)
    match outcome:
        case Returned(result):
            return recovery.succeeded(task, result)
        case _ if stop is Stop.CANCEL:
            return recovery.failed(task, _stopped(outcome), now_us=now_us)
        case NotBegun() if stop is not None:
            return recovery.handed_back(task, _WHY_GIVEN_BACK[stop], began=False)
        case _ if stop is not None:
            return _given_back(task, stop, now_us=now_us)
        case Failed(failure, delay):
            delay_us = None if delay is None else delay // _MICROSECOND
            return recovery.failed(task, failure, now_us=now_us, delay_us=delay_us)
        case Died():
            return recovery.lost(task, now_us=now_us, alone=True)
        case Killed() | NotBegun():
            # Killed at the deadline by this host's monotonic clock, which the wall clock has
            # not reached: it timed out all the same.
            return recovery.overran(task, now_us=now_us)


def _given_back(task: Task, stop: Stop, *, now_us: int) -> Settlement:
    # Also when the lease was not renewed: it may be again before it has ended, and then nobody
    # but us would ever end the attempt. If it has ended, the attempt's number decides.
    if task.options.at_most_once:
        # It has begun and must not begin again.
        return recovery.lost(task, now_us=now_us, alone=False)
    return recovery.handed_back(task, _WHY_GIVEN_BACK[stop])


def _stopped(outcome: Outcome) -> Failure:
    if isinstance(outcome, Failed):
        return replace(outcome.failure, retryable=False)
    return Failure(
        kind=FailureKind.APPLICATION,
        code=Code.CANCELLED,
        reason="STOPPED",
        message="The task was stopped.",
        domain=TASKWIRE_DOMAIN,
    )


def failed_with(error: BaseException, *, service: str) -> Failed:
    """What a handler's exception means. `service` is the domain of the handler's own errors."""
    if not isinstance(error, HandlerError):
        return _unexpected(error)
    try:
        return Failed(_deliberate(error, service), _bounded_delay(error.retry_delay))
    except Exception as broken:  # A subclass of somebody's own may hold anything.
        return _unexpected(broken)


def _bounded_delay(delay: timedelta | None) -> timedelta | None:
    # A time that does not fit into the store would cost the settlement.
    return None if delay is None else min(delay, MAX_DURATION)


def unreadable_input(name: str) -> Failed:
    """The stored input cannot be parsed as a `name`: the worker has another contract."""
    return Failed(
        Failure(
            kind=FailureKind.APPLICATION,
            code=Code.INTERNAL,
            reason="INPUT_UNREADABLE",
            message=(
                f"The worker cannot read the task's input as {name};"
                " give it and the server the same contract."
            ),
            domain=TASKWIRE_DOMAIN,
        )
    )


def _deliberate(error: HandlerError, service: str) -> Failure:
    return Failure(
        kind=FailureKind.APPLICATION,
        code=Code(error.code),
        reason=_reason(error.reason) or error.code_name,
        message=_shortened(_storable(error.message), MAX_MESSAGE_CHARS),
        metadata=_bounded(error.metadata),
        domain=service,
        type=type_name(error),
        stack_trace=_stack(error),
        retryable=error.retryable,
    )


def _unexpected(error: BaseException) -> Failed:
    # The exception's text may hold anything, a password included: it stays in the stack trace.
    failure = Failure(
        kind=FailureKind.APPLICATION,
        code=Code.UNKNOWN,
        reason="UNEXPECTED_EXCEPTION",
        message="The handler raised an unexpected exception; operators find it by the task's id.",
        domain=TASKWIRE_DOMAIN,
        type=type_name(error),
        stack_trace=_stack(error),
        retryable=True,
    )
    return Failed(failure, caught=catch(error))


def _reason(given: str) -> str:
    """`given` as google.rpc.ErrorInfo wants it: UPPER_SNAKE_CASE, at most 63 characters."""
    return re.sub(r"[^A-Z0-9]+", "_", given.upper()).strip("_")[:MAX_REASON_CHARS]


def _bounded(metadata: Mapping[str, str]) -> dict[str, str]:
    entries = list(metadata.items())[:MAX_METADATA_ENTRIES]
    return {
        _storable(key)[:64]: _shortened(_storable(value), MAX_METADATA_CHARS)
        for key, value in entries
    }


def _stack(error: BaseException) -> str:
    # Both ends tell most: where the work began, and what was raised.
    try:
        text = _storable("".join(traceback.format_exception(error)))
    except Exception:  # An exception's own __str__ may raise; its type must still be recorded.
        text = type_name(error)
    if len(text) <= MAX_STACK_CHARS:
        return text
    half = MAX_STACK_CHARS // 2
    return f"{text[:half]}\n  …\n{text[-half:]}"


def _storable(text: str) -> str:
    """`text` with lone surrogates spelled out: Python has them in the names of files that are
    no UTF-8, and neither the store nor protobuf can write them."""
    return text.encode("utf-8", "backslashreplace").decode()


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
