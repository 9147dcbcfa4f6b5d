"""protovalidate's rules: every violation at once, its path as a caller writes it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from google.protobuf.message import Message

from taskwire_core.errors import FieldViolation, InvalidRequest

if TYPE_CHECKING:
    from protovalidate import Validator

_MAX_DESCRIPTION = 300
_UNJUDGED = (
    "cannot be judged by one of its rules, which fails for what it holds,"
    " such as a rule on the first element for an empty list"
)
_MOST_VALUES = 2_000
"""Listing a violation takes the engine some 40 µs, in which nobody else is served: of a message
with more values than this only the first one is listed."""


class Rules:
    """One compiled set of rules per message type, made when it is first needed.

    So is the engine: few workers have handlers that submit, and to each process it would add
    thirteen megabytes and a quarter of a second. A gateway calls `load` before it serves.
    """

    def load(self) -> None:
        """Loads the engine now, and not with the first message."""
        _ = self._validator

    @cached_property
    def _validator(self) -> Validator:
        from protovalidate import Validator

        return Validator()

    def violations(
        self, message: Message, prefix: str = "", *, brief: bool = False, without: str = ""
    ) -> list[FieldViolation]:
        """All that is wrong with `message`; paths begin with `prefix` ("input", "requests[7]").

        A rule that fails for this message, instead of judging it, is the only violation then.
        Only the first violation when `brief`, or when the message holds thousands of values.
        What is wrong within the field `without` is left out where all is listed.
        """
        from protovalidate import EvaluationError

        try:
            found = self._validator.collect_violations(message, fail_fast=True)
            if found and (without or not brief) and _values(message, _MOST_VALUES) < _MOST_VALUES:
                found = self._validator.collect_violations(message)
                found = [each for each in found if not _is_within(each.proto, without)]
        except EvaluationError:
            # Which one it was, protovalidate says in words for whoever wrote the rule only.
            return [FieldViolation(prefix, _UNJUDGED)]
        return [_violation(each.proto, prefix) for each in found]

    def require(self, message: Message) -> None:
        """Refuse a request that breaks its rules.

        Raises:
            InvalidRequest: FIELD_VIOLATION, with all that is wrong.
        """
        found = self.violations(message)
        if found:
            raise not_valid(found)


def not_valid(found: Sequence[FieldViolation]) -> InvalidRequest:
    """The error of a request whose fields break their rules; at least one does."""
    first = found[0]
    return InvalidRequest(
        "FIELD_VIOLATION",
        "The request is not valid; correct the fields that the details name."
        f" {first.field}: {first.description}.",
        violations=found,
    )


def join(prefix: str, path: str) -> str:
    """`path` within `prefix`; either may be empty."""
    return f"{prefix}.{path}" if prefix and path else prefix or path


def _values(message: Message, most: int) -> int:
    """How many values `message` holds, those of its messages included; counts no further
    than to `most`."""
    count = 0
    for field, value in message.ListFields():
        many = field.is_repeated
        count += len(value) if many else 1
        if count >= most:
            break
        if field.message_type is None:
            continue
        entries = field.message_type.GetOptions().map_entry
        for each in (value.values() if entries else value) if many else (value,):
            if isinstance(each, Message):
                count += _values(each, most - count)
            if count >= most:
                return most
    return min(count, most)


def _is_within(found: Any, field: str) -> bool:
    elements = list(found.field.elements) if found.field is not None else []
    return bool(field) and bool(elements) and elements[0].field_name == field


# Any: protovalidate's messages come from a protobuf library without stubs in this project.
def _violation(found: Any, prefix: str) -> FieldViolation:
    elements = found.field.elements if found.field is not None else ()
    path = "".join(_step(element) for element in elements).removeprefix(".")
    description = found.message or "is not valid"
    if found.for_key:
        description = f"the key {description}"
    return FieldViolation(join(prefix, path), description[:_MAX_DESCRIPTION], found.rule_id)


def _step(element: Any) -> str:
    subscript = element.subscript
    if subscript is None:
        return f".{element.field_name}"
    value = subscript.value
    shown = f'"{value}"' if subscript.field == "string_key" else str(value).lower()
    return f".{element.field_name}[{shown}]"
