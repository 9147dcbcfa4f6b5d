"""The last lines of a history: what was left when everything was over."""

from __future__ import annotations

from typing import Literal

import msgspec

from taskwire_core.lifecycle import Event
from tests.chaos.records import Line, Timed, require_state

Moment = Literal["before", "after"]
"""Of a measurement: at rest before the load, or at rest after it."""


class TaskRow(Line, frozen=True, tag="task"):
    """A task's row."""

    task_id: str
    state: str
    version: int
    attempt: int = 0
    type: str = ""
    queue: str = ""
    request_id: str = ""
    input: str = ""
    result: str = ""
    """Like the input a digest, or "none" when there is none."""
    due: float = 0.0
    """Since 1970: for when it was submitted. Retries do not change it."""
    at_most_once: bool = False

    def __post_init__(self) -> None:
        require_state(self.state)


class TaskEvent(Line, frozen=True, tag="event"):
    """A transition. `wall` is its time since 1970, by the database's clock."""

    task_id: str
    version: int
    state: str
    event: str
    attempt: int = 0
    wall: float = 0.0
    worker: str = ""

    def __post_init__(self) -> None:
        require_state(self.state)
        Event(self.event)


class Queue(Line, frozen=True, tag="queue"):
    """How many messages a queue of the broker holds."""

    name: str
    ready: int
    unacknowledged: int = 0


class Process(Line, frozen=True, tag="process"):
    """What a process uses; of several children of a kind, the most that one of them does."""

    name: str
    moment: Moment
    pid: int
    fds: int = 0
    threads: int = 0
    connections: int = 0
    """Open sockets of any kind."""
    rss_bytes: int = 0


class Counter(Line, frozen=True, tag="counter"):
    """How many tasks the store's own counters say that there are."""

    type: str
    state: str
    count: int

    def __post_init__(self) -> None:
        require_state(self.state)


class Metric(Line, frozen=True, tag="metric"):
    """A sample of a process's /metrics."""

    process: str
    name: str
    value: float
    labels: dict[str, str] = msgspec.field(default_factory=dict)


class Canary(Line, frozen=True, tag="canary"):
    """A secret that inputs and exceptions were given, and that must appear nowhere."""

    text: str


class Scan(Line, frozen=True, tag="scan"):
    """A log or a page was searched for all canaries: those that it has are `found`."""

    place: str
    lines: int
    found: tuple[str, ...] = ()


class Dumped(Timed, frozen=True, tag="dumped"):
    """What was left is complete. A history without this line was cut short."""
