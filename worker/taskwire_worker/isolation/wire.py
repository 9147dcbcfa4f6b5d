"""What a worker and its isolation children say to each other, one pickled object a message.

Both ends are the same release of the same program, started by one another.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from taskwire import ProgressReport
from taskwire.errors import HandlerError
from taskwire_core.failpoints import Failpoint
from taskwire_worker.outcome import Outcome


@dataclass(frozen=True, slots=True)
class ChildSetup:
    """What a child needs to know its handlers; `contracts` are paths in text."""

    modules: tuple[str, ...]
    contracts: tuple[str, ...] = ()
    examples: bool = False
    log_level: str = "INFO"
    log_format: str = "line"
    failpoints: tuple[Failpoint, ...] = ()
    host: int | None = None
    """The service's process, None when nobody needs to know."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The child has loaded its handlers."""


@dataclass(frozen=True, slots=True)
class NotReady:
    """The child cannot load its handlers; one line."""

    problem: str


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt to run; `number` is unique within the child's life. `ends_at` is on the
    host's monotonic clock, which all its processes share."""

    number: int
    type: str
    task_id: str
    attempt: int
    parent: str
    input: bytes
    deadline: datetime | None
    ends_at: float | None
    max_result_bytes: int


@dataclass(frozen=True, slots=True)
class JobBegun:
    """The job of that number is about to be given to its handler."""

    number: int


@dataclass(frozen=True, slots=True)
class StopJob:
    """The job of that number is to stop."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class JobProgress:
    """A progress report of the job of that number."""

    number: int
    report: ProgressReport


@dataclass(frozen=True, slots=True)
class JobSubmits:
    """The job of that number submits a task: a SubmitTaskRequest's bytes. `serial` is unique
    within the child's life."""

    number: int
    serial: int
    request: bytes


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of the submission of that serial: the task's id, or what the handler sees."""

    serial: int
    outcome: str | HandlerError


@dataclass(frozen=True, slots=True)
class JobEnded:
    """The job of that number has come to this."""

    number: int
    outcome: Outcome
