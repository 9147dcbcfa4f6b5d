"""`async def` handlers for the worker's tests."""

from __future__ import annotations

import asyncio
import contextlib

from taskwire import TaskContext, task
from taskwire.examples.v1.demo_tasks_pb2 import (
    FlakyRequest,
    FlakyResponse,
    SleepRequest,
    SleepResponse,
)
from taskwire.examples.v1.math_tasks_pb2 import DivideRequest, DivideResponse
from tests.worker.handlers import begun

_arrived: set[str] = set()
_everybody: asyncio.Event | None = None


@task("taskwire.examples.v1.DemoTasks/Flaky")
async def together(request: FlakyRequest, context: TaskContext) -> FlakyResponse:
    """Ends when `failures` tasks are in it at the same time."""
    global _everybody
    _everybody = _everybody or asyncio.Event()
    _arrived.add(context.id)
    if len(_arrived) == request.failures:
        _everybody.set()
    await _everybody.wait()
    return FlakyResponse(attempts=context.attempt)


@task("taskwire.examples.v1.MathTasks/Divide")
async def patient(request: DivideRequest, context: TaskContext) -> DivideResponse:
    """Waits `dividend` seconds."""
    begun(context)
    context.progress(fraction=0.5, message="waiting")
    await asyncio.sleep(request.dividend)
    return DivideResponse(quotient=context.attempt)


@task("taskwire.examples.v1.DemoTasks/Sleep")
async def stubborn(request: SleepRequest, context: TaskContext) -> SleepResponse:
    """Sleeps for as long as it was told, whoever cancels it."""
    begun(context)
    loop = asyncio.get_running_loop()
    until = loop.time() + request.duration.ToTimedelta().total_seconds()
    while (left := until - loop.time()) > 0:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(left)
    return SleepResponse()
