"""One call of a handler: bytes in, an outcome out. Raises nothing, whatever the handler does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from google.protobuf.message import Message
from msgspec import Struct

from taskwire import ProgressReport, TaskContext
from taskwire.context import Submit
from taskwire_core.scope import Scope, working_on
from taskwire_worker.handlers import Handler
from taskwire_worker.messages import BadResult, UnreadableInput, encode_result, parse_input
from taskwire_worker.outcome import Failed, Killed, Returned, failed_with, unreadable_input


class Services(Struct, frozen=True):
    """What an attempt may ask of its worker while it runs; from any thread."""

    report: Callable[[ProgressReport], None]
    submit: Submit


def call(
    handler: Handler, data: bytes, context: TaskContext, *, max_result_bytes: int
) -> Returned | Failed:
    """What the handler makes of the request in `data`."""
    request = _request(handler, data)
    if isinstance(request, Failed):
        return request
    with working_on(_scope(context, data)):
        try:
            returned = handler.function(request, context)
        # SystemExit too: a handler must not end its worker by `sys.exit`.
        except BaseException as error:  # the edge that records whatever was raised
            return _raised(handler, error)
    return _result(handler, returned, max_result_bytes)


async def call_async(
    handler: Handler, data: bytes, context: TaskContext, *, max_result_bytes: int
) -> Returned | Failed | Killed:
    """The same of an `async def`; Killed when it was cancelled because it had to stop."""
    request = _request(handler, data)
    if isinstance(request, Failed):
        return request
    with working_on(_scope(context, data)):
        try:
            returned = await handler.function(request, context)
        except BaseException as error:  # as above
            if isinstance(error, asyncio.CancelledError) and context.cancelled:
                return Killed()
            return _raised(handler, error)
    return _result(handler, returned, max_result_bytes)


def _request(handler: Handler, data: bytes) -> Message | Failed:
    try:
        return parse_input(handler.input_class, data)
    except UnreadableInput:
        return unreadable_input(handler.input_class.DESCRIPTOR.full_name)


def _scope(context: TaskContext, data: bytes) -> Scope:
    """What the handler works on, for the lines that it logs and for what it raises."""
    fields = {"task_id": context.id, "task_type": context.type, "attempt": str(context.attempt)}
    return Scope(fields, private=data)


def _raised(handler: Handler, error: BaseException) -> Failed:
    return failed_with(error, service=handler.task_type.name.partition("/")[0])


def _result(handler: Handler, returned: object, max_bytes: int) -> Returned | Failed:
    try:
        return Returned(encode_result(handler.result_class, returned, max_bytes=max_bytes))
    except BadResult as error:
        return Failed(error.failure)
