"""The lines of a history: what clients did and saw, what handlers ran, what was broken.

How they stand in a file is told in history.py; what was left at the end is in remains.py.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from taskwire_core.lifecycle import State

Call = Literal[
    "submit", "batch", "stream", "durable", "retry", "cancel", "delete", "run", "get", "list"
]
"""What was called; the first five make tasks."""


def digest(data: bytes) -> str:
    """What stands for an input or a result: enough to tell two apart, and no secret."""
    return hashlib.sha256(data).hexdigest()[:16]


def require_state(name: str) -> None:
    """Refuse what is no state; an empty name says that it is not known."""
    if name and name not in State.__members__:
        raise ValueError(f"there is no state {name!r}")


class Line(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    gc=False,  # There are many of them, and none refers to itself.
):
    """One line."""


class Timed(Line, frozen=True):
    """What happened at a moment."""

    at: float


class Header(Timed, frozen=True, tag="header"):
    """The first line: how the run was started. `wall` is the time since 1970 at `at`."""

    wall: float
    seed: int
    lease_ttl_s: float
    recovery_bound_s: float
    """Everything must have ended this long after the last fault, submission or due time."""
    version: int = 1
    isolated_types: tuple[str, ...] = ()
    """Those whose handlers run in processes of their own, which are killed when their run deadline
    has passed. A thread cannot be killed."""
    settings: dict[str, str] = msgspec.field(default_factory=dict)

    def wall_at(self, at: float) -> float:
        """The time since 1970 at a moment of the run."""
        return self.wall + at - self.at


# What clients did. Each operation has one `invoke`, and one of `ok`, `fail` and `unknown`; none of
# them when the client itself was killed, which is the same as unknown.


class Invoke(Timed, frozen=True, tag="invoke"):
    """A client is about to send a call, or one item of a batch or of a stream."""

    op: int
    call: Call
    request_id: str = ""
    task_id: str = ""
    """Of the task that it is about; of the ended one for a retry."""
    type: str = ""
    input: str = ""
    """The digest of the input's bytes."""
    group: int = 0
    """Not 0: those of one number were sent as one batch, of which all or none are submitted."""


class Told(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What an answer says of one task. A durable call's has no version."""

    task_id: str
    version: int = 0
    state: str = ""
    result: str = ""

    def __post_init__(self) -> None:
        require_state(self.state)


class Ok(Timed, frozen=True, tag="ok"):
    """The call was answered. A durable call whose task failed was answered, too, with `code`."""

    op: int
    told: tuple[Told, ...] = ()
    effective: bool = True
    code: str = "OK"
    reason: str = ""
    message: str = ""


class Fail(Timed, frozen=True, tag="fail"):
    """The call was refused: what it asked for has surely not happened."""

    op: int
    code: str
    reason: str = ""
    message: str = ""


class Unknown(Timed, frozen=True, tag="unknown"):
    """Nobody can tell whether what the call asked for has happened, or will.

    Its deadline has passed, the connection broke, or the server could not say. A `task_id` that
    the server has named nevertheless is that of a task that was recorded.
    """

    op: int
    code: str
    reason: str = ""
    message: str = ""
    task_id: str = ""


Outcome = Ok | Fail | Unknown


# What watchers saw.


class Watch(Timed, frozen=True, tag="watch"):
    """A watch was begun: of `task_ids`, or without them of all tasks that match `filter`."""

    watch: int
    task_ids: tuple[str, ...] = ()
    filter: str = ""
    after_version: int = 0


class Seen(Timed, frozen=True, tag="seen"):
    """A watch has shown a task, or that it is not watched any more."""

    watch: int
    task_id: str
    version: int = 0
    state: str = ""
    result: str = ""
    removed: bool = False
    deleted: bool = False

    def __post_init__(self) -> None:
        require_state(self.state)


class Resumed(Timed, frozen=True, tag="resumed"):
    """A watch was interrupted, and goes on where it was."""

    watch: int
    why: str = ""


class WatchEnd(Timed, frozen=True, tag="watch_end"):
    """A watch is over: OK with the reason TERMINAL or DELETED, an error, or LEFT by its client."""

    watch: int
    status: str
    reason: str = ""
    message: str = ""


# What the handlers of the tests wrote, outside taskwire, and what was broken meanwhile.


class Journal(Timed, frozen=True, tag="journal"):
    """An attempt's handler was begun, or it returned, noticed a cancel, or raised."""

    what: Literal["begin", "end", "cancelled", "raised"]
    task_id: str
    attempt: int
    pid: int = 0
    wall: float = 0.0
    key: str = ""
    result: str = ""
    """The digest of what was returned."""


class Fault(Timed, frozen=True, tag="fault"):
    """Something was broken, such as "kill" of "worker"."""

    fault: int
    name: str
    target: str = ""


class FaultEnd(Timed, frozen=True, tag="fault_end"):
    """It is whole again. A fault without an end, such as a kill, was over at once."""

    fault: int
