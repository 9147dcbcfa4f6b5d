"""The mark that makes a function the handler of a task type, and nothing else.

`@task` only marks: nothing is registered when a module is imported. The worker collects
the marked functions of the modules that `TASKWIRE_HANDLERS` names.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from google.protobuf.descriptor import MethodDescriptor

# A handler's own types are its business: any request, any result.
Handler = TypeVar("Handler", bound=Callable[..., Any])

_ATTRIBUTE = "__taskwire_handles__"


class Isolation(StrEnum):
    """Where a handler runs."""

    THREAD = "thread"
    """In a thread of the worker: cheap; time-out and cancel need the handler's co-operation.

    An `async def` handler shares the worker's one event loop with all others instead.
    """

    PROCESS = "process"
    """In a process of its own, one task at a time: can be killed, and shares no memory."""


@dataclass(frozen=True, slots=True)
class HandlerMark:
    """What `@task` says of a function: the type it handles ("package.Service/Method")."""

    type: str
    isolation: Isolation


def task(
    type: str | MethodDescriptor, *, isolation: Isolation | str = Isolation.THREAD
) -> Callable[[Handler], Handler]:
    """Marks `def` or `async def handler(request, context)` as the handler of a task type.

    Args:
        type: "package.Service/Method", or the method's descriptor out of generated code.
        isolation: `Isolation.PROCESS` ("process") for code that must be killable, holds the
            GIL for long, or may take its process along.

    Raises:
        TypeError: The function is a generator, or `type` names no method.
        ValueError: There is no such isolation.
    """
    mark = HandlerMark(type=_type_name(type), isolation=Isolation(isolation))

    def attach(handler: Handler) -> Handler:
        _refuse_what_cannot_run(handler, mark)
        setattr(handler, _ATTRIBUTE, (*marks(handler), mark))
        return handler

    return attach


def marks(candidate: object) -> tuple[HandlerMark, ...]:
    """The marks on `candidate`; empty for anything that is no handler."""
    found = getattr(candidate, _ATTRIBUTE, ())
    # A mock or a proxy answers to every name: only what `task` put there counts.
    return found if isinstance(found, tuple) else ()


def _type_name(type: str | MethodDescriptor) -> str:
    if not isinstance(type, str):
        service = getattr(type, "containing_service", None)
        if service is None:
            raise TypeError(
                '@task needs "package.Service/Method" or a method descriptor, for example'
                ' @task("acme.images.v1.ImageTasks/MakeThumbnail")'
            )
        return f"{service.full_name}/{type.name}"
    if not all(type.partition("/")):
        raise TypeError(f'@task needs "package.Service/Method", not {type!r}')
    return type


def _refuse_what_cannot_run(handler: Callable[..., Any], mark: HandlerMark) -> None:
    name = getattr(handler, "__qualname__", repr(handler))
    if inspect.isgeneratorfunction(handler) or inspect.isasyncgenfunction(handler):
        raise TypeError(f"{name} handles {mark.type} and is a generator: it must return its result")
