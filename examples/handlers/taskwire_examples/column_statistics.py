"""What is known of one column while its values come in: memory does not grow with their number."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import date, datetime

from taskwire.examples.v1.data_tasks_pb2 import ColumnProfile
from taskwire_examples.distinct_count import DistinctCount

_LONGEST = 200
_INTEGER = re.compile(r"[+-]?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")

INTEGER = ColumnProfile.TYPE_INTEGER
NUMBER = ColumnProfile.TYPE_NUMBER
BOOLEAN = ColumnProfile.TYPE_BOOLEAN
DATE = ColumnProfile.TYPE_DATE
TIMESTAMP = ColumnProfile.TYPE_TIMESTAMP
TEXT = ColumnProfile.TYPE_TEXT

# What a column is that has values of both types; of other pairs it is text.
_MIXTURES = {frozenset({INTEGER, NUMBER}): NUMBER, frozenset({DATE, TIMESTAMP}): TIMESTAMP}


class Numbers:
    """Mean and deviation of numbers in one pass, without the cancellation of sums of squares.

    Welford, "Note on a method for calculating corrected sums of squares", 1962, with a weight.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = 0.0
        self._squares = 0.0
        self.least = (math.inf, "")
        self.greatest = (-math.inf, "")

    def add(self, number: float, text: str, times: int) -> None:
        """Count `number`, which is written as `text`, so many times."""
        self.count += times
        before = number - self.mean
        self.mean += before * times / self.count
        self._squares += times * before * (number - self.mean)
        self.least = min(self.least, (number, text))
        self.greatest = max(self.greatest, (number, text))

    @property
    def deviation(self) -> float:
        """The sample standard deviation of two numbers or more."""
        return math.sqrt(self._squares / (self.count - 1))


class ColumnStatistics:
    """One column: `add` values, then take its `profile`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._type = ColumnProfile.TYPE_UNSPECIFIED
        self._count = 0
        self._nulls = 0
        self._distinct = DistinctCount()
        self._numbers = Numbers()
        self._least: str | None = None
        self._greatest = ""
        self._longest = ""

    def add(self, counted: Iterable[tuple[str, int]]) -> None:
        """Count different values, each with how often it stands there."""
        for text, times in counted:
            if text:
                self._add_value(text, times)
            else:
                self._nulls += times

    def profile(self) -> ColumnProfile:
        """What is known by now."""
        numeric = self._type in (INTEGER, NUMBER)
        numbers = self._numbers
        least = numbers.least[1] if numeric else self._least or ""
        greatest = numbers.greatest[1] if numeric else self._greatest
        return ColumnProfile(
            name=self._name[:_LONGEST],
            type=self._type,
            count=self._count,
            null_count=self._nulls,
            # An estimate may be more than there are.
            distinct_count=min(self._distinct.count, self._count),
            distinct_count_estimated=self._distinct.estimated,
            min=least[:_LONGEST],
            max=greatest[:_LONGEST],
            mean=numbers.mean if numeric else None,
            standard_deviation=numbers.deviation if numeric and numbers.count > 1 else None,
            longest_text=self._longest[:_LONGEST],
            longest_length=len(self._longest),
        )

    def _add_value(self, text: str, times: int) -> None:
        self._count += times
        self._distinct.add(text)
        if self._least is None or text < self._least:
            self._least = text
        self._greatest = max(self._greatest, text)
        if len(text) > len(self._longest):
            self._longest = text
        # Once it is text it remains text, and nothing more has to be read.
        if self._type != TEXT:
            kind, number = _read(text)
            self._type = _joined(self._type, kind)
            if number is not None:
                self._numbers.add(number, text, times)


def _joined(
    one: ColumnProfile.Type.ValueType, other: ColumnProfile.Type.ValueType
) -> ColumnProfile.Type.ValueType:
    if one in (other, ColumnProfile.TYPE_UNSPECIFIED):
        return other
    return _MIXTURES.get(frozenset({one, other}), TEXT)


def _read(text: str) -> tuple[ColumnProfile.Type.ValueType, float | None]:
    """What a value is, and the number that it is."""
    if _NUMBER.fullmatch(text):
        number = float(text)
        # Nobody could say the mean of what no float can hold.
        if math.isfinite(number):
            return (INTEGER if _INTEGER.fullmatch(text) else NUMBER), number
        return TEXT, None
    if text.lower() in ("true", "false"):
        return BOOLEAN, None
    return _time_type(text), None


def _time_type(text: str) -> ColumnProfile.Type.ValueType:
    # Other forms, such as 20270131 and 2027-W04, are as likely to be something else.
    if text[4:5] != "-" or text[7:8] != "-":
        return TEXT
    with suppress(ValueError):
        if len(text) == len("2027-01-31"):
            date.fromisoformat(text)
            return DATE
        datetime.fromisoformat(text)
        return TIMESTAMP
    return TEXT
