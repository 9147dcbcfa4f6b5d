"""A task type's options: the defaults, how a submission overrides them, what is valid.

Durations are `timedelta`; None means "no limit" where a field allows it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

MAX_ATTEMPTS = 1000
MAX_DURATION = timedelta(days=366)
QUEUE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9._-]{0,127}")


class Priority(IntEnum):
    """The order of dispatch within a queue; the numbers are `taskwire.v1.Priority`'s."""

    LOW = 1
    NORMAL = 2
    HIGH = 3


class RetryPolicy(Struct, frozen=True):
    """How often and how soon a failed attempt is repeated; the first run counts."""

    max_attempts: int = 5
    initial_backoff: timedelta = timedelta(seconds=1)
    max_backoff: timedelta = timedelta(minutes=5)
    backoff_multiplier: float = 2.0
    jitter: float = 0.2


class TaskOptions(Struct, frozen=True):
    """The options in force for one task, all filled."""

    queue: str
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    start_timeout: timedelta | None = None
    attempt_timeout: timedelta = timedelta(minutes=10)
    total_timeout: timedelta | None = None
    result_ttl: timedelta = timedelta(days=7)
    priority: Priority = Priority.NORMAL
    at_most_once: bool = False


class RetryOverrides(Struct, frozen=True):
    """The fields of a retry policy that somebody set; None was not set."""

    max_attempts: int | None = None
    initial_backoff: timedelta | None = None
    max_backoff: timedelta | None = None
    backoff_multiplier: float | None = None
    jitter: float | None = None


class OptionOverrides(Struct, frozen=True):
    """The options that a .proto or a submission set; None was not set."""

    queue: str | None = None
    retry: RetryOverrides = field(default_factory=RetryOverrides)
    start_timeout: timedelta | None = None
    attempt_timeout: timedelta | None = None
    total_timeout: timedelta | None = None
    result_ttl: timedelta | None = None
    priority: Priority | None = None
    at_most_once: bool | None = None


def _set_fields(
    overrides: RetryOverrides | OptionOverrides,
) -> dict[str, Any]:  # any field's type
    return {
        name: value
        for name in overrides.__struct_fields__
        if name != "retry" and (value := getattr(overrides, name)) is not None
    }


def merge(options: TaskOptions, overrides: OptionOverrides) -> TaskOptions:
    """`options` with every field that `overrides` sets, the retry policy field by field."""
    changed = _set_fields(overrides)
    retry = _set_fields(overrides.retry)
    if retry:
        changed["retry"] = replace(options.retry, **retry)
    return replace(options, **changed) if changed else options


@dataclass(frozen=True, slots=True)
class OptionProblem:
    """What is wrong with one option: its path within the options, and a sentence."""

    path: str
    message: str


def problems(options: TaskOptions) -> list[OptionProblem]:
    """Everything that is wrong with `options`, all at once; empty when they are valid."""
    found: list[OptionProblem] = []

    def check(ok: bool, path: str, message: str) -> None:
        if not ok:
            found.append(OptionProblem(path, message))

    def duration(path: str, value: timedelta | None, *, zero_allowed: bool = False) -> None:
        if value is None:
            return
        low = value >= timedelta(0) if zero_allowed else value > timedelta(0)
        bound = "0 s or more" if zero_allowed else "more than 0 s"
        check(low and value <= MAX_DURATION, path, f"must be {bound} and at most 366 days")

    retry = options.retry
    check(
        QUEUE_NAME.fullmatch(options.queue) is not None,
        "queue",
        "must be 1 to 128 letters, digits, dots, dashes or underscores, and begin with a letter"
        " or an underscore",
    )
    check(
        1 <= retry.max_attempts <= MAX_ATTEMPTS,
        "retry.max_attempts",
        f"must be between 1 and {MAX_ATTEMPTS}",
    )
    duration("retry.initial_backoff", retry.initial_backoff, zero_allowed=True)
    duration("retry.max_backoff", retry.max_backoff, zero_allowed=True)
    check(
        1 <= retry.backoff_multiplier <= 100,
        "retry.backoff_multiplier",
        "must be 1 to 100",
    )
    check(0 <= retry.jitter <= 1, "retry.jitter", "must be 0 to 1")
    duration("start_timeout", options.start_timeout)
    duration("attempt_timeout", options.attempt_timeout)
    duration("total_timeout", options.total_timeout)
    duration("result_ttl", options.result_ttl)
    check(
        not options.at_most_once or retry.max_attempts == 1,
        "retry.max_attempts",
        "must be 1 for a task that is at_most_once; set max_attempts: 1 or remove at_most_once",
    )
    return found
