"""A task as the rooms hand it to one another: facts, frozen, without any technology.

Times are whole microseconds since 1970 and end in `_us`; ids are 16 bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from msgspec import Struct, field

from taskwire_core.failure import Failure
from taskwire_core.follow_up import Condition
from taskwire_core.lifecycle import State
from taskwire_core.options import TaskOptions


class Payload(Struct, frozen=True, gc=False):
    """A protobuf message in its wire form: its full name, and its bytes."""

    type_name: str
    data: bytes


class OutcomeField(Struct, frozen=True, gc=False):
    """The field of a follow-up's input that takes the outcome: its number, and whether that is
    the whole ended task instead of its result."""

    number: int
    whole_task: bool


class FollowUp(Struct, frozen=True):
    """A task to submit when another one has ended, `delay_us` after that or at `schedule_time_us`.

    Everything in it was checked when it was submitted.
    """

    condition: Condition
    type: str
    input: Payload
    options: TaskOptions
    delay_us: int = 0
    schedule_time_us: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    outcome: OutcomeField | None = None
    follow_ups: tuple[FollowUp, ...] = ()


class PlannedFollowUp(Struct, frozen=True):
    """A follow-up as its task shows it; `task_id` is the task that was made of it."""

    condition: Condition
    type: str
    task_id: bytes | None = None


class NewTask(Struct, frozen=True):
    """One task to be recorded. `request_id` is None when the caller gave none.

    `request_hash` is 32 bytes over what the caller sent; two submissions with the same
    request id must have the same one. `parent` is the task that submits it, and `generation`
    how many tasks stand above it.
    """

    id: bytes
    type: str
    owner: str
    input: Payload
    options: TaskOptions
    create_time_us: int
    schedule_time_us: int
    labels: Mapping[str, str] = field(default_factory=dict)
    request_id: str | None = None
    request_hash: bytes = b""
    retry_of: bytes | None = None
    parent: bytes | None = None
    generation: int = 0
    follow_ups: tuple[FollowUp, ...] = ()


def payload_bytes(task: NewTask | FollowUp) -> int:
    """How many bytes its input and those of what follows it have."""
    return len(task.input.data) + sum(map(payload_bytes, task.follow_ups))


class Progress(Struct, frozen=True, gc=False):
    """How far a running task says it is. `fraction` is 0..1; 0 units are unknown."""

    fraction: float
    completed_units: int
    total_units: int
    message: str
    update_time_us: int


class Attempt(Struct, frozen=True):
    """One begun run of a task."""

    number: int
    worker_id: bytes
    start_time_us: int
    end_time_us: int | None = None
    failure: Failure | None = None


class Task(Struct, frozen=True):
    """One task's row, with what the asked-for view adds (None or empty when it was not asked).

    `result` and `failure` belong to the OUTCOME view; `input`, `attempts`, `follow_ups` and the
    failure's stack trace to FULL. `not_before_us` is when a SCHEDULED or RETRYING task is due.
    """

    id: bytes
    type: str
    owner: str
    state: State
    version: int
    attempt: int
    handed_back: int
    crashes: int
    solo: bool
    dispatch: int
    dispatched: bool
    options: TaskOptions
    create_time_us: int
    schedule_time_us: int
    not_before_us: int
    update_time_us: int
    start_time_us: int | None = None
    end_time_us: int | None = None
    delete_time_us: int | None = None
    start_deadline_us: int | None = None
    total_deadline_us: int | None = None
    run_deadline_us: int | None = None
    worker_id: bytes | None = None
    cancel_requested: bool = False
    cancel_reason: str = ""
    retry_of: bytes | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    parent: bytes | None = None
    generation: int = 0
    follow_up_count: int = 0
    input: Payload | None = None
    result: Payload | None = None
    failure: Failure | None = None
    progress: Progress | None = None
    attempts: tuple[Attempt, ...] = ()
    follow_ups: tuple[PlannedFollowUp, ...] = ()

    @property
    def queue(self) -> str:
        """The queue that the task waits in."""
        return self.options.queue


class View(IntEnum):
    """How much of a task is read; the numbers are those of `taskwire.v1.TaskView`."""

    BASIC = 1
    OUTCOME = 2
    FULL = 3


class Dispatch(Struct, frozen=True, gc=False):
    """One message to the broker: the task's number `number` dispatch of type `type` on `queue`."""

    task_id: bytes
    type: str
    queue: str
    number: int
    version: int = 0
    """The task's, in which it is dispatched; 0 where nobody knows. It is not in the message."""


class Ring(Struct, frozen=True):
    """A doorbell: this task has (at least) this version now, and this state.

    `task` is the task in this version, in the OUTCOME view, where the news brought it along.
    """

    task_id: bytes
    version: int
    state: State
    task: Task | None = None


class Deleted(Struct, frozen=True, gc=False):
    """A doorbell: this task was deleted, and nothing more is heard of it."""

    task_id: bytes


class ProgressRing(Struct, frozen=True):
    """A doorbell that carries a running task's newest progress; it is no version."""

    task_id: bytes
    attempt: int
    progress: Progress


AnyRing = Ring | ProgressRing | Deleted
"""Whatever is heard of a task."""
