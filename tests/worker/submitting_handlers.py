"""Handlers that submit other tasks, each in its own way."""

from __future__ import annotations

from taskwire import TaskContext, errors, task
from taskwire.examples.v1.demo_tasks_pb2 import (
    FlakyRequest,
    FlakyResponse,
    SleepRequest,
    SleepResponse,
)
from taskwire.examples.v1.image_tasks_pb2 import MakeThumbnailRequest, MakeThumbnailResponse
from taskwire.examples.v1.math_tasks_pb2 import DivideRequest, DivideResponse

FAILS_FIRST = errors.Unavailable("Not at the first attempt.")


@task("taskwire.examples.v1.MathTasks/Divide")
def child(request: DivideRequest, context: TaskContext) -> DivideResponse:
    """What the others submit."""
    return DivideResponse(quotient=request.dividend)


@task("taskwire.examples.v1.DemoTasks/Flaky")
def in_a_thread(request: FlakyRequest, context: TaskContext) -> FlakyResponse:
    """Submits `failures` tasks in every attempt, of which it has two."""
    for number in range(request.failures):
        context.submit(DivideRequest(dividend=number, divisor=1))
    if context.attempt == 1:
        raise FAILS_FIRST
    return FlakyResponse(attempts=context.attempt)


@task("taskwire.examples.v1.DemoTasks/Sleep")
async def on_the_loop(request: SleepRequest, context: TaskContext) -> SleepResponse:
    """The same for one task, from a coroutine."""
    await context.submit_async(DivideRequest(dividend=7, divisor=1), key="only")
    if context.attempt == 1:
        raise FAILS_FIRST
    return SleepResponse()


@task("taskwire.examples.v1.ImageTasks/MakeThumbnail", isolation="process")
def in_a_process(request: MakeThumbnailRequest, context: TaskContext) -> MakeThumbnailResponse:
    """The same for one task, from a process of its own."""
    context.submit(DivideRequest(dividend=8, divisor=1))
    if context.attempt == 1:
        raise FAILS_FIRST
    return MakeThumbnailResponse()
