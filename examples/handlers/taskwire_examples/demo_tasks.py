"""Handlers that show how taskwire behaves: progress, cancelling and retries."""

from __future__ import annotations

import time

from google.protobuf.duration_pb2 import Duration

from taskwire import TaskContext, errors, task
from taskwire.examples.v1.demo_tasks_pb2 import (
    FlakyRequest,
    FlakyResponse,
    SleepRequest,
    SleepResponse,
)

_STEP_S = 0.25


@task("taskwire.examples.v1.DemoTasks/Sleep")
def sleep(request: SleepRequest, context: TaskContext) -> SleepResponse:
    """Sleeps in small steps, tells how far it is, and stops when it is told to."""
    duration_s = request.duration.ToTimedelta().total_seconds()
    began = time.monotonic()
    while (left_s := began + duration_s - time.monotonic()) > 0:
        context.progress(
            fraction=min(1.0, max(0.0, 1 - left_s / duration_s)),
            message=f"{left_s:.1f} s left",
        )
        context.wait_cancelled(min(_STEP_S, left_s))
        context.raise_if_cancelled()
    slept = Duration()
    slept.FromNanoseconds(round((time.monotonic() - began) * 1e9))
    return SleepResponse(slept=slept)


@task("taskwire.examples.v1.DemoTasks/Flaky")
def flaky(request: FlakyRequest, context: TaskContext) -> FlakyResponse:
    """Fails in its first attempts, as often as it is asked to."""
    if context.attempt <= request.failures:
        raise errors.Unavailable(
            f"Attempt {context.attempt} of {request.failures} that fail.",
            reason="FLAKY",
            metadata={"attempt": str(context.attempt)},
        )
    return FlakyResponse(attempts=context.attempt)
