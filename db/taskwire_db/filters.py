"""A filter as an SQL condition on `tasks`: the same answer as `matches`, for both databases.

Every value is a bind; states are literals, since partial indexes match nothing else. Each
condition is true or false and never NULL, so that NOT means what it says.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from taskwire_core.filters import And, Field, Filter, Not, Operator, Term
from taskwire_core.lifecycle import State
from taskwire_db.models import is_state, task_labels, task_outcomes, tasks

Condition = sa.ColumnElement[bool]

_COLUMNS: dict[Field, sa.Column[Any]] = {
    Field.TYPE: tasks.c.type,
    Field.QUEUE: tasks.c.queue,
    Field.OWNER: tasks.c.owner,
    Field.ATTEMPT: tasks.c.attempt,
    Field.CREATE_TIME: tasks.c.create_time,
    Field.UPDATE_TIME: tasks.c.update_time,
    Field.END_TIME: tasks.c.end_time,
}
_COMPARE: dict[Operator, Callable[[Any, Any], Condition]] = {
    Operator.EQUAL: operator.eq,
    Operator.LESS: operator.lt,
    Operator.AT_MOST: operator.le,
    Operator.GREATER: operator.gt,
    Operator.AT_LEAST: operator.ge,
}


def condition(filter_: Filter, task_id: sa.ColumnElement[bytes] = tasks.c.id) -> Condition:
    """The condition that a row of `tasks` fulfils when its task matches.

    `task_id` may be another column with the task's id: labels are looked up by it, so that a
    filter of labels alone needs no row of `tasks`.
    """
    if isinstance(filter_, Term):
        return _term(filter_, task_id)
    if isinstance(filter_, Not):
        return sa.not_(condition(filter_.part, task_id))
    parts = [condition(part, task_id) for part in filter_.parts]
    if isinstance(filter_, And):
        return sa.and_(sa.true(), *parts)
    return sa.or_(sa.false(), *parts)


def _term(term: Term, task_id: sa.ColumnElement[bytes]) -> Condition:
    match term.field:
        case Field.STATE:
            return is_state(tasks.c.state, State(int(term.value)))
        case Field.LABEL:
            return _label(term, task_id)
        case Field.ERROR_TYPE | Field.ERROR_KIND:
            return _error(term)
    column = _COLUMNS[term.field]
    if term.operator is Operator.PRESENT:
        return column.is_not(None)
    return _set(column) & _compared(term, column)


def _set(column: sa.Column[Any]) -> Condition:
    return column.is_not(None) if column.nullable else sa.true()


def _compared(term: Term, value: sa.ColumnElement[Any]) -> Condition:
    if term.operator is Operator.WITHIN:
        name = str(term.value)
        # Not LIKE, whose wildcards and case differ between the databases.
        start = sa.func.substr(value, 1, len(name) + 1)
        return (value == name) | start.in_([name + ".", name + "/"])
    return _COMPARE[term.operator](value, term.value)


def _label(term: Term, task_id: sa.ColumnElement[bytes]) -> Condition:
    found = (task_labels.c.task_id == task_id) & (task_labels.c.label == term.label)
    if term.operator is not Operator.PRESENT:
        found &= task_labels.c.value == term.value
    # PostgreSQL would rather read all tasks of a common label into a hash table than look up the
    # few that it is asked for; an OFFSET forbids that.
    one: sa.Select[tuple[Any]] = (
        sa.select(sa.literal_column("1")).select_from(task_labels).where(found)
    )
    return one.offset(sa.literal_column("0")).exists()


def _error(term: Term) -> Condition:
    name = term.field.removeprefix("error.")
    value = _FailureText(task_outcomes.c.failure, sa.literal(name))
    held = value != ""
    if term.operator is not Operator.PRESENT:
        wanted = str(int(term.value)) if isinstance(term.value, int) else term.value
        held &= _compared(Term(term.field, term.operator, wanted), value)
    of_task = (task_outcomes.c.task_id == tasks.c.id) & task_outcomes.c.failure.is_not(None)
    return is_state(tasks.c.state, State.FAILED) & sa.exists().where(of_task & held)


class _FailureText(FunctionElement[str]):
    """A member of a failure's stored JSON as text: the column, then the member's name."""

    type = sa.Text()
    inherit_cache = True


@compiles(_FailureText, "sqlite")
def _on_sqlite(element: _FailureText, compiler: SQLCompiler, **kwargs: Any) -> str:
    failure, name = (compiler.process(clause, **kwargs) for clause in element.clauses)
    return f"CAST(json_extract({failure}, '$.' || {name}) AS TEXT)"


@compiles(_FailureText, "postgresql")
def _on_postgresql(element: _FailureText, compiler: SQLCompiler, **kwargs: Any) -> str:
    failure, name = (compiler.process(clause, **kwargs) for clause in element.clauses)
    # A NUL in any member would be refused. What replaces it keeps the text JSON, also where the
    # backslash is the second of an escaped one.
    without_nul = f"REPLACE({failure}, '\\u0000', '\\ufffd')"
    return f"(CAST({without_nul} AS JSON) ->> {name})"
