"""The change log as the rooms hand it to one another: places in it, and pages of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from taskwire_core.task import Task


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the change log.

    All that was visible at `since` has been read. Where `upto` is not empty, so has what became
    visible from then to `upto`, as far as the change of `task_id` with `number`.
    """

    since: str
    upto: str = ""
    number: int = 0
    task_id: bytes = b""


@dataclass(frozen=True, slots=True)
class Change:
    """A task has changed, or was `deleted`; `cursor` is the place behind that."""

    task_id: bytes
    owner: str
    deleted: bool
    cursor: Cursor


@dataclass(frozen=True, slots=True)
class ChangePage:
    """Changes in their order, each task's last one only, and those tasks as they are now.

    The tasks are in the BASIC view, with the failures that filters ask for. `next` is where the
    log goes on, and `more` says that there is something already.
    """

    changes: tuple[Change, ...]
    tasks: Mapping[bytes, Task]
    next: Cursor
    more: bool


class CursorExpired(Exception):
    """The log does not go back to this place any more, or was never there."""
