"""What the supervisor and its worker processes say to each other, one pickled object a message.

Both ends are the same release of the same program, started by one another.
"""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client.core import Metric

from taskwire_admin.occurrence import Bundle
from taskwire_core.settings import Settings


@dataclass(frozen=True, slots=True)
class Start:
    """To the child: who it is, and how it is configured."""

    worker_id: bytes
    settings: Settings


@dataclass(frozen=True, slots=True)
class Loaded:
    """From the child: its handlers are loaded; it waits for `Go`."""

    types: tuple[str, ...]
    queues: tuple[str, ...]
    slots: int


@dataclass(frozen=True, slots=True)
class Refused:
    """From the child: it cannot start as it is configured; one line."""

    problem: str


@dataclass(frozen=True, slots=True)
class Go:
    """To the child: it is registered and may claim. `at`: as in `Renewed`."""

    at: float


@dataclass(frozen=True, slots=True)
class Renewed:
    """To the child: its lease was renewed by a request sent at monotonic time `at`, which all
    processes of a host share; and these attempts (task id, attempt) are being cancelled."""

    at: float
    cancelling: tuple[tuple[bytes, int], ...]


@dataclass(frozen=True, slots=True)
class Drain:
    """To the child: end in order, handlers may go on for `grace_s` seconds."""

    grace_s: float


@dataclass(frozen=True, slots=True)
class Unclaimed:
    """From the child: how many deliveries it holds that it has not claimed."""

    count: int


@dataclass(frozen=True, slots=True)
class Observed:
    """From the child: exceptions that it has seen since the last time, and all its metrics."""

    exceptions: tuple[Bundle, ...]
    metrics: tuple[Metric, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """From the child, its last word: it has drained. Whoever ends without it has died."""


ToChild = Start | Go | Renewed | Drain
FromChild = Loaded | Refused | Unclaimed | Observed | Ended
