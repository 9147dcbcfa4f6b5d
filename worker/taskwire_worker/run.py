"""One call of a handler: bytes in, an outcome out. Raises nothing, whatever the handler does."""

from __future__ import annotations

from taskwire import TaskContext
from taskwire_worker.handlers import Handler
from taskwire_worker.messages import BadResult, UnreadableInput, encode_result, parse_input
from taskwire_worker.outcome import Failed, Returned, failed_with, unreadable_input


def call(
    handler: Handler, data: bytes, context: TaskContext, *, max_result_bytes: int
) -> Returned | Failed:
    """What the handler makes of the request in `data`."""
    try:
        request = parse_input(handler.input_class, data)
    except UnreadableInput:
        return unreadable_input(handler.input_class.DESCRIPTOR.full_name)
    try:
        returned = handler.function(request, context)
    # SystemExit too: a handler must not end its worker by `sys.exit`.
    except BaseException as error:  # the edge that records whatever was raised
        return failed_with(error, service=handler.task_type.name.partition("/")[0])
    try:
        return Returned(encode_result(handler.result_class, returned, max_bytes=max_result_bytes))
    except BadResult as error:
        return Failed(error.failure)
