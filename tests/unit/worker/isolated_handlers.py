"""Handlers for isolation children in tests; `failures` chooses what one does."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from taskwire import TaskContext, errors, task
from taskwire.examples.v1.demo_tasks_pb2 import FlakyRequest, FlakyResponse, SleepRequest
from taskwire.examples.v1.image_tasks_pb2 import MakeThumbnailRequest, MakeThumbnailResponse
from taskwire.examples.v1.math_tasks_pb2 import DivideRequest, DivideResponse

WORK, DIE, HANG, NOISE, RAISE, OBEY, EXIT, LEAVE, SUBMIT = range(9)


@task("taskwire.examples.v1.DemoTasks/Flaky", isolation="process")
def flaky(request: FlakyRequest, context: TaskContext) -> FlakyResponse:
    """Does one of the things above."""
    match request.failures:
        case 1:
            os._exit(7)
        case 2:
            context.progress(fraction=0.5, message="hanging")
            while True:
                time.sleep(1)
        case 3:
            print("noise" * 10_000, flush=True)
            os.write(1, b"\x00\xffnoise\n")
        case 4:
            raise errors.NotFound("It is not there.", reason="GONE", metadata={"name": "x"})
        case 5:
            context.progress(fraction=0.5, message="waiting")
            context.wait_cancelled()
            context.raise_if_cancelled()
        case 6:
            sys.exit(3)
        case 7:
            if left := os.fork():
                context.progress(fraction=0.5, message=str(left))
                os._exit(7)
            time.sleep(60)
            os._exit(0)
        case 8:
            made = [context.submit(DivideRequest(dividend=n), key=str(n)) for n in range(3)]
            context.progress(fraction=0.5, message=f"{context.parent} made {' '.join(made)}")
    return FlakyResponse(attempts=os.getpid())


@task("taskwire.examples.v1.MathTasks/Divide", isolation="process")
async def patient(request: DivideRequest, context: TaskContext) -> DivideResponse:
    """Waits `dividend` seconds on the event loop; says so when that is cut short."""
    try:
        context.progress(fraction=0.5, message="waiting")
        await asyncio.sleep(request.dividend)
    except asyncio.CancelledError:
        await asyncio.sleep(0)
        context.progress(fraction=0.9, message="cleaned up")
        raise
    return DivideResponse(quotient=id(asyncio.get_running_loop()))


@task("taskwire.examples.v1.ImageTasks/MakeThumbnail", isolation="process")
def huge(request: MakeThumbnailRequest, context: TaskContext) -> MakeThumbnailResponse:
    """A result of `max_width` kibibytes."""
    return MakeThumbnailResponse(image=b"x" * (request.max_width * 1024))


@task("taskwire.examples.v1.DemoTasks/Sleep")
def wrong(request: SleepRequest, context: TaskContext) -> Path:
    """No message at all."""
    return Path("nowhere")
