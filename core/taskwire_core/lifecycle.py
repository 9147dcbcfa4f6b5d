"""The state table of a task: which moves exist, and nothing else.

This file owns every state and every transition. `taskwire_db` builds its
compare-and-sets from it, so that no other line of the project assigns a state.
The table itself is documented in docs/architecture.md.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum


class State(IntEnum):
    """The states of a task; the numbers are those of `taskwire.v1.TaskState`."""

    SCHEDULED = 1
    QUEUED = 2
    RUNNING = 3
    RETRYING = 4
    CANCELLING = 5
    SUCCEEDED = 6
    FAILED = 7
    CANCELLED = 8
    EXPIRED = 9

    @property
    def terminal(self) -> bool:
        """Whether the task has ended: terminal states never change."""
        return self >= State.SUCCEEDED


class Event(StrEnum):
    """What can happen to a task, each named as the state table names it."""

    SUBMIT = "submit"
    DUE = "due"
    RUN_NOW = "run_now"
    CLAIM = "claim"
    SUCCESS = "success"
    RETRYABLE_ERROR = "retryable_error"
    FINAL_ERROR = "final_error"
    HANDED_BACK = "handed_back"
    CANCEL = "cancel"
    LOST = "lost"
    TIMED_OUT = "timed_out"
    DEADLINE = "deadline"


WAITING = frozenset({State.SCHEDULED, State.QUEUED, State.RETRYING})
HELD = frozenset({State.RUNNING, State.CANCELLING})
TERMINAL = frozenset(state for state in State if state.terminal)


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of the state table: `event` moves a task from `source` to `target`."""

    source: State | None
    event: Event
    target: State


def _rows(
    sources: Iterable[State | None], event: Event, targets: Iterable[State]
) -> list[Transition]:
    return [Transition(source, event, target) for source in sources for target in targets]


TRANSITIONS: frozenset[Transition] = frozenset(
    [
        *_rows([None], Event.SUBMIT, [State.QUEUED, State.SCHEDULED]),
        *_rows([State.SCHEDULED, State.RETRYING], Event.DUE, [State.QUEUED]),
        *_rows([State.SCHEDULED, State.RETRYING], Event.RUN_NOW, [State.QUEUED]),
        *_rows([State.QUEUED], Event.CLAIM, [State.RUNNING]),
        *_rows(HELD, Event.SUCCESS, [State.SUCCEEDED]),
        *_rows([State.RUNNING], Event.RETRYABLE_ERROR, [State.RETRYING]),
        *_rows([State.RUNNING], Event.FINAL_ERROR, [State.FAILED]),
        *_rows([State.RUNNING], Event.HANDED_BACK, [State.QUEUED]),
        *_rows([State.CANCELLING], Event.RETRYABLE_ERROR, [State.CANCELLED]),
        *_rows([State.CANCELLING], Event.FINAL_ERROR, [State.CANCELLED]),
        *_rows([State.CANCELLING], Event.HANDED_BACK, [State.CANCELLED]),
        *_rows(WAITING, Event.CANCEL, [State.CANCELLED]),
        *_rows([State.RUNNING], Event.CANCEL, [State.CANCELLING]),
        *_rows([State.RUNNING], Event.LOST, [State.RETRYING, State.FAILED]),
        *_rows([State.CANCELLING], Event.LOST, [State.CANCELLED]),
        *_rows([State.RUNNING], Event.TIMED_OUT, [State.RETRYING, State.FAILED]),
        *_rows([State.CANCELLING], Event.TIMED_OUT, [State.CANCELLED]),
        *_rows(WAITING, Event.DEADLINE, [State.EXPIRED, State.FAILED]),
    ]
)


@functools.cache
def targets(source: State | None, event: Event) -> frozenset[State]:
    """The states that `event` may lead to from `source`; empty when there is no such move."""
    return frozenset(t.target for t in TRANSITIONS if t.source == source and t.event == event)


@functools.cache
def sources(event: Event) -> frozenset[State]:
    """The states that a task can be in for `event` to apply to it."""
    return frozenset(t.source for t in TRANSITIONS if t.event == event and t.source is not None)


def allowed(source: State | None, target: State) -> bool:
    """Whether any event moves a task from `source` to `target`."""
    return any(t.source == source and t.target == target for t in TRANSITIONS)
