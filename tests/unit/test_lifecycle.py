"""The state table says what the contract says."""

from __future__ import annotations

import pytest

from taskwire.v1 import task_pb2
from taskwire_core.lifecycle import (
    HELD,
    TERMINAL,
    TRANSITIONS,
    WAITING,
    Event,
    State,
    allowed,
    sources,
    targets,
)


def test_the_states_are_those_of_the_contract() -> None:
    names = {f"TASK_STATE_{state.name}": int(state) for state in State}
    assert names | {"TASK_STATE_UNSPECIFIED": 0} == dict(task_pb2.TaskState.items())


def test_every_state_waits_is_held_or_has_ended() -> None:
    assert set(State) == WAITING | HELD | TERMINAL
    assert not WAITING & HELD
    assert not (WAITING | HELD) & TERMINAL


def test_nothing_leaves_a_terminal_state() -> None:
    assert not [t for t in TRANSITIONS if t.source in TERMINAL]


def test_every_live_state_can_end() -> None:
    reached = set(TERMINAL)
    for _ in State:
        reached |= {s for s in State for t in State if allowed(s, t) and t in reached}
    assert reached == set(State)


def test_a_held_task_has_one_end_of_every_kind_when_it_is_being_cancelled() -> None:
    for event in (Event.SUCCESS, Event.RETRYABLE_ERROR, Event.FINAL_ERROR, Event.HANDED_BACK):
        assert len(targets(State.CANCELLING, event)) == 1


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (Event.CLAIM, {State.QUEUED}),
        (Event.DUE, {State.SCHEDULED, State.RETRYING}),
        (Event.CANCEL, WAITING | {State.RUNNING}),
        (Event.LOST, HELD),
        (Event.DEADLINE, WAITING),
        (Event.SUBMIT, set()),
    ],
)
def test_an_event_applies_where_the_table_says(event: Event, expected: set[State]) -> None:
    assert sources(event) == expected
