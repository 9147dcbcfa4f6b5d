"""When a task is followed, and how the outcome gets into a message in its wire form."""

from __future__ import annotations

import pytest

from taskwire.v1 import task_pb2
from taskwire.v1 import task_service_pb2 as pb
from taskwire_core.follow_up import Condition, with_field
from taskwire_core.lifecycle import TERMINAL, State

FOLLOWED = {
    Condition.ON_SUCCESS: {State.SUCCEEDED},
    Condition.ON_FAILURE: {State.FAILED, State.EXPIRED},
    Condition.ALWAYS: {State.SUCCEEDED, State.FAILED, State.EXPIRED, State.CANCELLED},
}


@pytest.mark.parametrize("condition", list(Condition))
def test_a_condition_is_met_by_these_ends_and_by_nothing_else(condition: Condition) -> None:
    assert {state for state in State if condition.met_by(state)} == FOLLOWED[condition]
    assert set(TERMINAL) == FOLLOWED[Condition.ALWAYS]


def test_the_numbers_are_those_of_the_contract() -> None:
    numbers = {f"FOLLOW_UP_CONDITION_{each.name}": int(each) for each in Condition}

    known = dict(task_pb2.FollowUpCondition.items())
    assert known == {"FOLLOW_UP_CONDITION_UNSPECIFIED": 0, **numbers}


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384, 3_000_000])
def test_a_field_is_set_in_a_message_of_any_size(size: int) -> None:
    before = pb.WaitTaskResponse(timed_out=True).SerializeToString()
    task = task_pb2.Task(id="x" * size)

    filled = with_field(before, 1, task.SerializeToString())

    assert pb.WaitTaskResponse.FromString(filled) == pb.WaitTaskResponse(task=task, timed_out=True)


def test_a_field_of_a_high_number_is_set() -> None:
    filled = with_field(b"", 1000, b"abc")

    # Field 1000 of wire type 2 is the tag 8002; 127 in seven bits, the rest in the next byte.
    assert filled == bytes([0xC2, 0x3E, 3]) + b"abc"
