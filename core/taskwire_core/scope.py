"""What the present thread or asyncio task works on: named in every log line it writes.

The bytes that it works on are kept here too, so that no text that is shown repeats them (see
`scrubbing.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar, Token
from types import TracebackType

from msgspec import Struct


class Scope(Struct, frozen=True):
    """`fields` may be shown (ids, names), `private` never is (an input, a request)."""

    fields: Mapping[str, str] = {}
    private: bytes = b""


_NOTHING = Scope()
_current: ContextVar[Scope] = ContextVar("scope", default=_NOTHING)


def current_scope() -> Scope:
    """What is worked on here and now; an empty scope outside of calls and tasks."""
    return _current.get()


def begin(scope: Scope) -> None:
    """Works on `scope` from now on, in an asyncio task that ends with it."""
    _current.set(scope)


class working_on:  # noqa: N801  # read as `with working_on(scope):`
    """A block of code that works on `scope`; cheaper than a generator, since every task has one."""

    __slots__ = ("_before", "_scope")

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def __enter__(self) -> None:
        self._before: Token[Scope] = _current.set(self._scope)

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _current.reset(self._before)
