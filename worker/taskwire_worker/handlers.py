"""Which handlers this process has: collected from modules, checked against the contracts.

Everything that is wrong with a handler is found here, at start, and said in one line.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

from google.protobuf.message import Message

from taskwire import Isolation, TaskContext
from taskwire.handler import HandlerMark, marks
from taskwire_contracts import TaskType
from taskwire_core.errors import ConfigurationError
from taskwire_worker.messages import message_class

# The second Any is what a handler returns: checked when it has returned, not trusted.
Function = Callable[[Any, TaskContext], Any]


class KnownTypes(Protocol):
    """The loaded contracts, as far as this room looks at them."""

    def find(self, name: str) -> TaskType | None:
        """The task type of that name, None when no contract has it."""

    def near(self, name: str) -> list[str]:
        """The names that resemble `name`, the nearest first; may be empty."""


@dataclass(frozen=True, slots=True)
class Handler:
    """A function that runs tasks of one type, with the classes of its two messages.

    `is_async` is true for an `async def`.
    """

    task_type: TaskType
    function: Function
    isolation: Isolation
    input_class: type[Message]
    result_class: type[Message]
    is_async: bool = False

    @property
    def on_loop(self) -> bool:
        """Whether it runs on the worker's event loop, unless its task must run alone."""
        return self.is_async and self.isolation is Isolation.THREAD


def load_handlers(modules: Sequence[str], contracts: KnownTypes) -> Mapping[str, Handler]:
    """The handlers in the named modules, by task type.

    Raises:
        ConfigurationError: A module cannot be imported or has no handler, a handler's type is
            in no contract or has two handlers, or a handler does not take two arguments.
    """
    return collect([_import(name) for name in modules], contracts)


def collect(modules: Iterable[ModuleType], contracts: KnownTypes) -> Mapping[str, Handler]:
    """The handlers in modules that are imported already; raises as `load_handlers` does."""
    found: dict[str, Handler] = {}
    for module in modules:
        marked = list(_marked(module))
        if not marked:
            raise ConfigurationError(
                f"TASKWIRE_HANDLERS: module {module.__name__} has no handler;"
                ' mark a function with @task("package.Service/Method")'
            )
        for function, mark in marked:
            _add(found, _handler(function, mark, contracts))
    return found


def _add(found: dict[str, Handler], handler: Handler) -> None:
    name = handler.task_type.name
    known = found.setdefault(name, handler)
    # The same function is found twice when one handler module imports it from another.
    if known.function is not handler.function:
        raise ConfigurationError(
            f"{name} has two handlers: {_name(known.function)} and {_name(handler.function)};"
            " remove one"
        )


def _handler(function: Function, mark: HandlerMark, contracts: KnownTypes) -> Handler:
    task_type = contracts.find(mark.type)
    if task_type is None:
        near = contracts.near(mark.type)
        hint = f"did you mean {' or '.join(near)}?" if near else "see TASKWIRE_CONTRACTS"
        raise ConfigurationError(
            f"{_name(function)} handles {mark.type}, which is in no loaded contract; {hint}"
        )
    _check_signature(function, mark)
    return Handler(
        task_type=task_type,
        function=function,
        isolation=mark.isolation,
        input_class=message_class(task_type.input_class),
        result_class=message_class(task_type.result_class),
        is_async=inspect.iscoroutinefunction(function),
    )


def _check_signature(function: Function, mark: HandlerMark) -> None:
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        raise ConfigurationError(
            f"{_name(function)} handles {mark.type} and cannot be called with (request, context);"
            " write it as def handler(request, context)"
        ) from None


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    # Somebody else's module may raise anything at import; all of it means "does not start".
    except Exception as error:
        first_line = (str(error).splitlines() or [""])[0]
        raise ConfigurationError(
            f"TASKWIRE_HANDLERS: cannot import {name}: {type(error).__name__}: {first_line}"
            f"{_import_hint(name, error)}"
        ) from error


def _import_hint(name: str, error: Exception) -> str:
    # Not for what the module itself imports: that is another package which is not installed.
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    itself = missing is not None and f"{name}.".startswith(f"{missing}.")
    return "; is its folder on PYTHONPATH?" if itself else ""


def _marked(module: ModuleType) -> Iterator[tuple[Function, HandlerMark]]:
    for value in vars(module).values():
        # A class or a descriptor that is merely imported answers here with no marks.
        if callable(value):
            for mark in marks(value):
                yield value, mark


def _name(function: Function) -> str:
    return f"{function.__module__}.{getattr(function, '__qualname__', repr(function))}"
