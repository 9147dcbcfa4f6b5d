"""Failpoints in the process of the tests themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from taskwire_core.failpoints import arm, parse_failpoints


@contextmanager
def armed(setting: str) -> Iterator[None]:
    """What TASKWIRE_FAILPOINTS would do, for the block."""
    arm(parse_failpoints(setting))
    try:
        yield
    finally:
        arm([])
