"""A parsed filter: terms, and what combines them. Frozen, so that it can be a cache's key.

`!=` is the negation of `=`, and a label's `:` is its `=`, so that fewer operators are left here
than there are in the text. Every term is either true or false of a task: of a field that is not
set every term is false.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Field(StrEnum):
    """What of a task a term is about, as it is written in a filter."""

    STATE = "state"
    TYPE = "type"
    QUEUE = "queue"
    OWNER = "owner"
    LABEL = "labels"
    ATTEMPT = "attempt"
    ERROR_TYPE = "error.type"
    ERROR_KIND = "error.kind"
    CREATE_TIME = "create_time"
    UPDATE_TIME = "update_time"
    END_TIME = "end_time"


class Operator(StrEnum):
    """What a term says about its field."""

    EQUAL = "="
    LESS = "<"
    AT_MOST = "<="
    GREATER = ">"
    AT_LEAST = ">="
    WITHIN = "within"
    """A dotted name is the value, or continues it after a "." or a "/"."""
    PRESENT = "present"
    """The field is set; the value is empty."""


@dataclass(frozen=True, slots=True)
class Term:
    """One statement about one field. A time is in microseconds since 1970, an enum's value its
    number; `label` is the key of a label and empty otherwise."""

    field: Field
    operator: Operator
    value: str | int
    label: str = ""


@dataclass(frozen=True, slots=True)
class Not:
    """True where `part` is false."""

    part: Filter


@dataclass(frozen=True, slots=True)
class And:
    """True where all `parts` are; of no parts, always."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """True where any of `parts` is."""

    parts: tuple[Filter, ...]


Filter = Term | Not | And | Or

EVERYTHING = And(())
"""The filter that every task matches: the empty text."""


def conjuncts(filter_: Filter) -> tuple[Filter, ...]:
    """The parts that must all be true for `filter_` to be."""
    if not isinstance(filter_, And):
        return (filter_,)
    return tuple(inner for part in filter_.parts for inner in conjuncts(part))
