"""Handlers that raise what they should not: parts of their input, and secrets."""

from __future__ import annotations

import logging

from taskwire import TaskContext, errors, task
from taskwire.examples.v1.email_tasks_pb2 import SendEmailRequest, SendEmailResponse
from taskwire.examples.v1.image_tasks_pb2 import MakeThumbnailRequest, MakeThumbnailResponse
from taskwire.examples.v1.math_tasks_pb2 import DivideRequest, DivideResponse

LOG = logging.getLogger("acme.tasks")


@task("taskwire.examples.v1.EmailTasks/SendEmail")
def leaking(request: SendEmailRequest, context: TaskContext) -> SendEmailResponse:
    """Tells its input, in a thread."""
    try:
        raise KeyError(request.subject)
    except KeyError as error:
        LOG.exception("the handler's own line")
        raise RuntimeError(f"x{request.text}y amqp://me:hunter2@host/ token=hunter2") from error


@task("taskwire.examples.v1.ImageTasks/MakeThumbnail", isolation="process")
def isolated(request: MakeThumbnailRequest, context: TaskContext) -> MakeThumbnailResponse:
    """The same in a process of its own."""
    raise LookupError(f"no codec for {request.image!r}")


@task("taskwire.examples.v1.MathTasks/Divide")
def deliberate(request: DivideRequest, context: TaskContext) -> DivideResponse:
    """An answer, whatever it is: no exception that somebody should look at."""
    if request.divisor < 0:
        return None  # type: ignore[return-value]  # no result, on purpose
    if request.divisor:
        return DivideResponse(quotient=1)
    if request.dividend:
        raise errors.InvalidArgument("Canary owes it.", reason="BAD_RESULT")  # taskwire's own name
    raise errors.InvalidArgument("The divisor is zero.")
