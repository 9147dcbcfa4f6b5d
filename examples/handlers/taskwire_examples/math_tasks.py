"""Arithmetic: a handler with a final error of its own."""

from __future__ import annotations

from taskwire import TaskContext, errors, task
from taskwire.examples.v1.math_tasks_pb2 import DivideRequest, DivideResponse


@task("taskwire.examples.v1.MathTasks/Divide")
def divide(request: DivideRequest, context: TaskContext) -> DivideResponse:
    """The quotient; a divisor of zero is the caller's mistake and is never retried."""
    if request.divisor == 0:
        raise errors.InvalidArgument(
            "The divisor must not be 0.",
            reason="DIVISION_BY_ZERO",
            metadata={"dividend": str(request.dividend)},
        )
    return DivideResponse(quotient=request.dividend / request.divisor)
