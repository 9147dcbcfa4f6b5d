"""When a task is due: now, at a time, or after a delay."""

from __future__ import annotations

from datetime import timedelta

from taskwire.v1 import task_service_pb2
from taskwire_core.errors import FieldViolation

_US = timedelta(microseconds=1)

Late = list[tuple[str, FieldViolation]]
"""What is wrong with a time, each with its reason."""


def due_us(
    request: task_service_pb2.SubmitTaskRequest, *, now_us: int, ahead: timedelta
) -> tuple[int, Late]:
    """When `request` is due (microseconds since 1970), and what is wrong with that.

    A time in the past means now; one further than `ahead` in the future is refused.
    """
    if request.HasField("delay"):
        field, delay = "delay", request.delay
        due = now_us + max(0, delay.seconds * 1_000_000 + delay.nanos // 1000)
    elif request.HasField("schedule_time"):
        field, time = "schedule_time", request.schedule_time
        if not 0 <= time.nanos < 1_000_000_000:
            return now_us, [("FIELD_VIOLATION", FieldViolation(field, "is not a valid time"))]
        due = max(now_us, time.seconds * 1_000_000 + time.nanos // 1000)
    else:
        return now_us, []
    if due > now_us + ahead // _US:
        text = f"is more than {ahead.days} days ahead"
        return now_us, [("TIME_OUT_OF_RANGE", FieldViolation(field, text))]
    return due, []
