"""The spans of time that a filter asks for, as ranges that an index can begin and end with.

They only tell an index where to look: the filter itself is checked as well.
"""

from __future__ import annotations

from dataclasses import dataclass

from taskwire_core.filters import Field, Filter, Operator, Term, conjuncts

_SLACK_US = 2_000_000
"""Ids from before migration 0003 were made a moment before or after the time of their task."""

_LAST_MS = 2**48 - 1

Span = tuple[int | None, int | None]
"""From and to, both included, in microseconds since 1970; None is open."""


@dataclass(frozen=True, slots=True)
class Spans:
    """When what matches was made, and when it was changed last."""

    created: Span
    changed: Span

    def ids(self) -> tuple[bytes | None, bytes | None]:
        """Ids of which the first is less, and the second greater, than all that match."""
        low, high = self.created
        return (
            None if low is None else _first_id(low - _SLACK_US),
            None if high is None else _first_id(high + _SLACK_US),
        )


def spans_of(filter_: Filter) -> Spans:
    """The spans outside of which nothing matches `filter_`."""
    return Spans(_span(filter_, Field.CREATE_TIME), _span(filter_, Field.UPDATE_TIME))


_FROM = (Operator.EQUAL, Operator.GREATER, Operator.AT_LEAST)
_TO = (Operator.EQUAL, Operator.LESS, Operator.AT_MOST)


def _span(filter_: Filter, field: Field) -> Span:
    terms = [part for part in conjuncts(filter_) if isinstance(part, Term) and part.field is field]
    lows = [int(term.value) for term in terms if term.operator in _FROM]
    highs = [int(term.value) for term in terms if term.operator in _TO]
    return max(lows, default=None), min(highs, default=None)


def _first_id(time_us: int) -> bytes:
    """An id that is less than every one of that millisecond and of later ones."""
    return min(max(time_us // 1000, 0), _LAST_MS).to_bytes(6) + bytes(10)
