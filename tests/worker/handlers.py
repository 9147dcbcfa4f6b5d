"""Handlers for the worker's tests; a file tells what they did outside of taskwire."""

from __future__ import annotations

import os
import time
from pathlib import Path

from taskwire import Retry, TaskContext, errors, task
from taskwire.examples.v1.demo_tasks_pb2 import (
    FlakyRequest,
    FlakyResponse,
    SleepRequest,
    SleepResponse,
)
from taskwire.examples.v1.image_tasks_pb2 import MakeThumbnailRequest, MakeThumbnailResponse
from taskwire.examples.v1.math_tasks_pb2 import DivideRequest, DivideResponse

JOURNAL = "TEST_JOURNAL"
EXIT_0 = 100.0
"""As the divisor: the process ends as if all were well."""


def begun(context: TaskContext) -> None:
    """Writes down that an attempt has begun, and in which process."""
    with open(os.environ[JOURNAL], "a") as journal:
        journal.write(f"{context.id} {context.attempt} {os.getpid()}\n")


def journal(path: Path) -> list[tuple[str, int, int]]:
    """What was written down: task id, attempt, process id."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [(i, int(a), int(p)) for i, a, p in (line.split() for line in lines)]


@task("taskwire.examples.v1.MathTasks/Divide")
def divide(request: DivideRequest, context: TaskContext) -> DivideResponse:
    """Journalled, and slow when the dividend says so; negative dividends die."""
    begun(context)
    if request.dividend < 0:
        os._exit(0 if request.divisor == EXIT_0 else 9)
    context.wait_cancelled(request.dividend)
    context.raise_if_cancelled()
    return DivideResponse(quotient=os.getpid())


@task("taskwire.examples.v1.DemoTasks/Flaky")
def flaky(request: FlakyRequest, context: TaskContext) -> FlakyResponse:
    """Fails at first, then works; more than 50 failures ask for a retry without an error."""
    begun(context)
    if request.failures > 50 and context.attempt == 1:
        raise Retry(delay=0.01)
    if context.attempt <= request.failures <= 50:
        raise errors.Unavailable("Not yet.")
    return FlakyResponse(attempts=context.attempt)


@task("taskwire.examples.v1.DemoTasks/Sleep")
def stubborn(request: SleepRequest, context: TaskContext) -> SleepResponse:
    """Sleeps and does not listen, as threads may."""
    begun(context)
    time.sleep(request.duration.ToTimedelta().total_seconds())
    return SleepResponse()


@task("taskwire.examples.v1.ImageTasks/MakeThumbnail", isolation="process")
def isolated(request: MakeThumbnailRequest, context: TaskContext) -> MakeThumbnailResponse:
    """Sleeps `max_width` seconds in a process of its own and does not listen; `die` dies."""
    begun(context)
    if request.image == b"die":
        os._exit(9)
    time.sleep(request.max_width)
    return MakeThumbnailResponse(width=os.getpid())
