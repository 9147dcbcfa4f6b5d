"""Failpoints: named places where a test can have a process die, stop, sleep or stumble.

A call site is two lines, whose cost while none is set is the truth test of a dict: 10 ns, as
`python -m timeit -s "ARMED = {}" "if ARMED: pass"` shows, beside steps of microseconds.

    if ARMED:
        hit("claim.committed")

TASKWIRE_FAILPOINTS sets them, comma-separated, as NAME:ACTION or NAME:ACTION@N: at the N-th hit
of the process, the first one by default, or with @* at each.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from taskwire_core.failpoint_table import FAILPOINTS

_LOG = logging.getLogger(__name__)


class FailpointError(Exception):
    """What the action `error` raises: a defect that nobody foresaw."""


class Action(StrEnum):
    """What happens at a failpoint."""

    KILL = "kill"
    """SIGKILL to the process."""
    KILL_GROUP = "kill-group"
    """SIGKILL to the whole service, its process group and all that it has started: a lost host."""
    STOP = "stop"
    """SIGSTOP to the process, until somebody sends it SIGCONT."""
    SLEEP = "sleep"
    """The thread sleeps; an event loop's stands still with all that it serves."""
    ERROR = "error"
    """FailpointError is raised."""


@dataclass(frozen=True, slots=True)
class Failpoint:
    """One that is set: `at` is the hit that it acts at, None for each; `seconds` are a sleep's."""

    name: str
    action: Action
    at: int | None = 1
    seconds: float = 0.0


def parse_failpoints(value: str) -> tuple[Failpoint, ...]:
    """What TASKWIRE_FAILPOINTS says.

    Raises:
        ValueError: it cannot be read, or names no failpoint that there is.
    """
    return tuple(_parse(part.strip()) for part in value.split(",") if part.strip())


def _parse(text: str) -> Failpoint:
    name, colon, rest = text.partition(":")
    if not colon:
        raise ValueError(f"must be NAME:ACTION or NAME:ACTION@N, comma-separated, and not {text!r}")
    if name not in FAILPOINTS:
        raise ValueError(f"must name failpoints that there are, and not {name!r}{_meant(name)}")
    words, _, at = rest.partition("@")
    action, equals, seconds = words.partition("=")
    try:
        found = Action(action)
    except ValueError:
        known = ", ".join("sleep=SECONDS" if each is Action.SLEEP else each for each in Action)
        raise ValueError(f"must have actions of {known}, and not {action!r}") from None
    if (found is Action.SLEEP) != bool(equals):
        raise ValueError("must say of sleep, and of nothing else, for how long: sleep=SECONDS")
    return Failpoint(name, found, _hit_number(at), _seconds(seconds) if equals else 0.0)


def _meant(name: str) -> str:
    near = get_close_matches(name, FAILPOINTS) or [
        each for each in FAILPOINTS if each.partition(".")[0] == name.partition(".")[0]
    ]
    return f"; near it are {', '.join(near)}" if near else "; docs/operating.md lists them"


def _hit_number(text: str) -> int | None:
    if text == "*":
        return None
    if not text:
        return 1
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"must have the number of a hit, 1 or more, or * behind @, not {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86_400:
        raise ValueError(f"must have seconds of 0 to 86400 behind sleep=, not {text!r}")
    return seconds


class _Fuse:
    """A failpoint that is set in this process, and how often it was hit."""

    def __init__(self, failpoint: Failpoint, host: int) -> None:
        self._failpoint = failpoint
        self._host = host
        self._hits = itertools.count(1)

    def burn(self) -> None:
        hits = next(self._hits)
        if self._failpoint.at not in (None, hits):
            return
        name, action = self._failpoint.name, self._failpoint.action
        _LOG.warning(
            "failpoint hit",
            extra={"failpoint": name, "action": action, "count": hits, "pid": os.getpid()},
        )
        match action:
            case Action.KILL:
                os.kill(os.getpid(), signal.SIGKILL)
            case Action.KILL_GROUP:
                self._kill_service()
            case Action.STOP:
                os.kill(os.getpid(), signal.SIGSTOP)
            case Action.SLEEP:
                time.sleep(self._failpoint.seconds)
            case Action.ERROR:
                raise FailpointError(name)

    def _kill_service(self) -> None:
        # The service first: its children die with it, this one too, and it could tell of ours.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(os.getpgid(self._host), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


ARMED: dict[str, list[_Fuse]] = {}
"""What is set in this process, by name: empty, but in a test."""


def hit(name: str) -> None:
    """This process has come to the place of that name."""
    for fuse in ARMED.get(name, ()):
        fuse.burn()


def arm(failpoints: Iterable[Failpoint], *, host: int | None = None) -> None:
    """Set these in this process, and no others.

    `host` is the process of the service that has started this one, None for the service itself.
    """
    ARMED.clear()
    for each in failpoints:
        ARMED.setdefault(each.name, []).append(_Fuse(each, host or os.getpid()))
    if ARMED:
        _LOG.warning(
            "FAILPOINTS ARE SET: this process will fail on purpose, as TASKWIRE_FAILPOINTS says",
            extra={"failpoint": ",".join(ARMED), "pid": os.getpid()},
        )


def lasting(failpoints: Iterable[Failpoint]) -> tuple[Failpoint, ...]:
    """Those of `failpoints` that the successor of a process that has died gets as well.

    What happens at one hit happened to the process that died; otherwise a host's processes
    would die for ever.
    """
    return tuple(each for each in failpoints if each.at is None)
