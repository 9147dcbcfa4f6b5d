"""What a filter says of a task, and what it says of all tasks that one counter counts."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass

from taskwire_core.filters.terms import And, Field, Filter, Not, Operator, Or, Term
from taskwire_core.lifecycle import State
from taskwire_core.task import Task

_ORDER: dict[Operator, Callable[[int, int], bool]] = {
    Operator.EQUAL: operator.eq,
    Operator.LESS: operator.lt,
    Operator.AT_MOST: operator.le,
    Operator.GREATER: operator.gt,
    Operator.AT_LEAST: operator.ge,
}


@dataclass(frozen=True, slots=True)
class Cohort:
    """The tasks of one type, queue, owner and state: what one counter counts."""

    type: str
    queue: str
    owner: str
    state: State


def matches(task: Task, filter_: Filter) -> bool:
    """Whether `task`, read in the OUTCOME view or a wider one, matches."""
    if isinstance(filter_, Term):
        return _holds(filter_, _value(task, filter_))
    if isinstance(filter_, Not):
        return not matches(task, filter_.part)
    if isinstance(filter_, And):
        return all(matches(task, part) for part in filter_.parts)
    return any(matches(task, part) for part in filter_.parts)


def decide(cohort: Cohort, filter_: Filter) -> bool | None:
    """Whether all tasks of `cohort` match (True) or none does (False); None where it depends."""
    if isinstance(filter_, Term):
        return _decide_term(cohort, filter_)
    if isinstance(filter_, Not):
        found = decide(cohort, filter_.part)
        return None if found is None else not found
    parts = {decide(cohort, part) for part in filter_.parts}
    decisive = isinstance(filter_, Or)
    if decisive in parts:
        return decisive
    return None if None in parts else not decisive


def _value(task: Task, term: Term) -> str | int | None:
    """The field's value in `task`; None where it is not set."""
    failure = task.failure if task.state is State.FAILED else None
    match term.field:
        case Field.LABEL:
            return task.labels.get(term.label)
        case Field.ERROR_TYPE:
            return failure.type or None if failure else None
        case Field.ERROR_KIND:
            return failure.kind if failure else None
        case Field.ATTEMPT:
            return task.attempt
        case Field.CREATE_TIME:
            return task.create_time_us
        case Field.UPDATE_TIME:
            return task.update_time_us
        case Field.END_TIME:
            return task.end_time_us
    return _shared(task, term.field)


def _shared(found: Task | Cohort, field: Field) -> str | int:
    """The value of a field that all tasks of a cohort share."""
    match field:
        case Field.TYPE:
            return found.type
        case Field.QUEUE:
            return found.queue
        case Field.OWNER:
            return found.owner
    return found.state


def _holds(term: Term, value: str | int | None) -> bool:
    if value is None:
        return False
    if term.operator is Operator.PRESENT:
        return True
    if isinstance(value, str):
        wanted = str(term.value)
        if term.operator is Operator.WITHIN:
            return value == wanted or value.startswith((wanted + ".", wanted + "/"))
        return value == wanted
    return _ORDER[term.operator](value, int(term.value))


def _decide_term(cohort: Cohort, term: Term) -> bool | None:
    if term.field in (Field.TYPE, Field.QUEUE, Field.OWNER, Field.STATE):
        return _holds(term, _shared(cohort, term.field))
    if term.field in (Field.ERROR_TYPE, Field.ERROR_KIND) and cohort.state is not State.FAILED:
        return False
    if term.field == Field.END_TIME and not cohort.state.terminal:
        return False
    return None
