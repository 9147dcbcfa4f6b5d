"""Waiting in tests: for a condition, with a deadline, and never for a fixed time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_PAUSE_S = 0.01


def eventually(condition: Callable[[], T], *, within: float = 10.0, what: str = "") -> T:
    """What `condition` returns as soon as it is true; it is asked again every 10 ms.

    An AssertionError that it raises counts as "not yet", so that a whole block of asserts can
    be waited for. After `within` seconds the test fails with `what` and the last answer.
    """
    deadline = time.monotonic() + within
    while True:
        value, problem = _ask(condition)
        if value:
            return value
        if time.monotonic() > deadline:
            raise _late(condition, within, what, value) from problem
        time.sleep(_PAUSE_S)


async def eventually_async(
    condition: Callable[[], T], *, within: float = 10.0, what: str = ""
) -> T:
    """The same as `eventually` on a running event loop, which goes on meanwhile."""
    deadline = time.monotonic() + within
    while True:
        value, problem = _ask(condition)
        if value:
            return value
        if time.monotonic() > deadline:
            raise _late(condition, within, what, value) from problem
        await asyncio.sleep(_PAUSE_S)


def _ask(condition: Callable[[], T]) -> tuple[T | None, AssertionError | None]:
    try:
        return condition(), None
    except AssertionError as problem:
        return None, problem


def _late(condition: object, within: float, what: str, value: object) -> AssertionError:
    name = what or getattr(condition, "__name__", repr(condition))
    return AssertionError(f"not within {within:g} s: {name} (last answer: {value!r})")
