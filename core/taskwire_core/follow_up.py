"""Follow-ups: what is submitted when a task has ended. When, and how the outcome is handed over."""

from __future__ import annotations

from enum import IntEnum

from taskwire_core.lifecycle import State

MAX_GENERATIONS = 100
"""How many tasks may stand above one another, each submitted by the one before."""

_FAILURES = frozenset({State.FAILED, State.EXPIRED})
_LENGTH_DELIMITED = 2


class Condition(IntEnum):
    """Which end is waited for; the numbers are those of `taskwire.v1.FollowUpCondition`."""

    ON_SUCCESS = 1
    ON_FAILURE = 2
    ALWAYS = 3

    def met_by(self, state: State) -> bool:
        """Whether a task that has ended in `state` is followed."""
        match self:
            case Condition.ON_SUCCESS:
                return state is State.SUCCEEDED
            case Condition.ON_FAILURE:
                return state in _FAILURES
            case Condition.ALWAYS:
                return state.terminal


def with_field(message: bytes, number: int, value: bytes) -> bytes:
    """`message` with its unset message field `number` set to `value`, all in protobuf's wire form.

    A parser takes fields in any order, so that a field is set by adding it at the end. See
    https://protobuf.dev/programming-guides/encoding.
    """
    return message + _varint(number << 3 | _LENGTH_DELIMITED) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)
