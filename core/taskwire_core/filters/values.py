"""What stands behind an operator, by the kind of its field: names, enums, numbers, times."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from enum import IntEnum

from taskwire_core.failure import FailureKind
from taskwire_core.filters.problems import near, problem, shown
from taskwire_core.filters.terms import Field
from taskwire_core.lifecycle import State

NUMBERS = {Field.ATTEMPT}
TIMES = {Field.CREATE_TIME, Field.UPDATE_TIME, Field.END_TIME}
DOTTED = {Field.TYPE, Field.ERROR_TYPE}
"""Their values are names of several parts, of which `:` compares the first ones."""
OPTIONAL = {Field.LABEL, Field.ERROR_TYPE, Field.ERROR_KIND, Field.END_TIME}
"""What not every task has."""

_ENUMS: dict[Field, tuple[type[IntEnum], str]] = {
    Field.STATE: (State, "TASK_STATE_"),
    Field.ERROR_KIND: (FailureKind, "KIND_"),
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_WHOLE = re.compile(r"-?\d{1,9}", re.ASCII)


def value_of(field: Field, text: str, position: int) -> str | int:
    """The value that `text` is for `field`.

    Raises:
        InvalidRequest: it is none of the field's values.
    """
    if field in _ENUMS:
        return _enum(field, text, position)
    if field in NUMBERS:
        return _number(field, text, position)
    if field in TIMES:
        return _time(field, text, position)
    if "\0" in text:
        raise problem(position, "a value has no character of code 0.")
    return text


def is_ordered(field: Field) -> bool:
    """Whether < and > say something about `field`."""
    return field in NUMBERS or field in TIMES


def _enum(field: Field, text: str, position: int) -> int:
    values, prefix = _ENUMS[field]
    try:
        return values[text.removeprefix(prefix)]
    except KeyError:
        names = [value.name for value in values]
        raise problem(
            position,
            f"{shown(text)} is no {field}; expected one of {', '.join(names)}.",
            near=near(text.upper().removeprefix(prefix), names),
        ) from None


def _number(field: Field, text: str, position: int) -> int:
    if not _WHOLE.fullmatch(text):
        raise problem(
            position,
            f"{shown(text)} is no whole number of up to 9 digits; expected, say, {field} > 3.",
        )
    return int(text)


def _time(field: Field, text: str, position: int) -> int:
    try:
        if not _TIME.fullmatch(text):
            raise ValueError(text)
        found = datetime.fromisoformat(text.upper())
        return (found - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        raise problem(
            position,
            f"{shown(text)} is no time; expected one of RFC 3339, to the microsecond at most,"
            f" such as {field} >= 2026-01-31T12:00:00Z.",
        ) from None
