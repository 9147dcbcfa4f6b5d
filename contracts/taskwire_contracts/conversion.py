"""Task options between their protobuf form (`taskwire.v1`) and the core's."""

from __future__ import annotations

from datetime import timedelta

from google.protobuf import duration_pb2

from taskwire.v1 import options_pb2
from taskwire_core.options import (
    OptionOverrides,
    OptionProblem,
    Priority,
    RetryOverrides,
    TaskOptions,
)

_US = timedelta(microseconds=1)


def to_timedelta(duration: duration_pb2.Duration) -> timedelta:
    """`duration` in whole microseconds; one that does not fit becomes the nearest that does."""
    try:
        return timedelta(seconds=duration.seconds, microseconds=duration.nanos // 1000)
    except OverflowError:
        return timedelta.max if duration.seconds > 0 else timedelta.min


def set_duration(target: duration_pb2.Duration, value: timedelta) -> None:
    """Write `value` into `target`."""
    seconds, rest = divmod(value // _US, 1_000_000)
    target.seconds = seconds
    target.nanos = rest * 1000


def read_overrides(
    message: options_pb2.TaskOptions | options_pb2.TaskOverrides,
) -> tuple[OptionOverrides, list[OptionProblem]]:
    """The options that `message` sets, and those that cannot be read at all."""
    found: list[OptionProblem] = []
    overrides = OptionOverrides(
        queue=message.queue if message.HasField("queue") else None,
        retry=_retry(message.retry) if message.HasField("retry") else RetryOverrides(),
        start_timeout=_duration(message, "start_timeout"),
        attempt_timeout=_duration(message, "attempt_timeout"),
        total_timeout=_duration(message, "total_timeout"),
        result_ttl=_duration(message, "result_ttl"),
        priority=_priority(message, found),
        at_most_once=_at_most_once(message),
    )
    return overrides, found


def options_message(options: TaskOptions) -> options_pb2.TaskOptions:
    """`options` as they are shown in a Task and in a TaskType: all filled."""
    message = options_pb2.TaskOptions(
        queue=options.queue,
        priority=options_pb2.Priority.ValueType(options.priority),
        at_most_once=options.at_most_once,
    )
    retry = message.retry
    retry.max_attempts = options.retry.max_attempts
    retry.backoff_multiplier = options.retry.backoff_multiplier
    retry.jitter = options.retry.jitter
    set_duration(retry.initial_backoff, options.retry.initial_backoff)
    set_duration(retry.max_backoff, options.retry.max_backoff)
    set_duration(message.attempt_timeout, options.attempt_timeout)
    set_duration(message.result_ttl, options.result_ttl)
    if options.start_timeout is not None:
        set_duration(message.start_timeout, options.start_timeout)
    if options.total_timeout is not None:
        set_duration(message.total_timeout, options.total_timeout)
    return message


def _retry(message: options_pb2.RetryPolicy) -> RetryOverrides:
    return RetryOverrides(
        max_attempts=message.max_attempts if message.HasField("max_attempts") else None,
        initial_backoff=(
            to_timedelta(message.initial_backoff) if message.HasField("initial_backoff") else None
        ),
        max_backoff=to_timedelta(message.max_backoff) if message.HasField("max_backoff") else None,
        backoff_multiplier=(
            message.backoff_multiplier if message.HasField("backoff_multiplier") else None
        ),
        jitter=message.jitter if message.HasField("jitter") else None,
    )


def _duration(
    message: options_pb2.TaskOptions | options_pb2.TaskOverrides, name: str
) -> timedelta | None:
    if not message.HasField(name):  # type: ignore[arg-type]  # one of four names
        return None
    return to_timedelta(getattr(message, name))


def _priority(
    message: options_pb2.TaskOptions | options_pb2.TaskOverrides, found: list[OptionProblem]
) -> Priority | None:
    if message.priority == options_pb2.PRIORITY_UNSPECIFIED:
        return None
    try:
        return Priority(message.priority)
    except ValueError:
        found.append(OptionProblem("priority", "must be LOW, NORMAL or HIGH"))
        return None


def _at_most_once(
    message: options_pb2.TaskOptions | options_pb2.TaskOverrides,
) -> bool | None:
    if not isinstance(message, options_pb2.TaskOptions):
        return None
    return message.at_most_once if message.HasField("at_most_once") else None
