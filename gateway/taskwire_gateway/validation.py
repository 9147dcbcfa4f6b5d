"""protovalidate's rules: every violation at once, its path as a caller writes it."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message
from protovalidate import Validator

from taskwire_core.errors import FieldViolation

_MAX_DESCRIPTION = 300


class Rules:
    """One compiled set of rules per message type, made when it is first needed."""

    def __init__(self) -> None:
        self._validator = Validator()

    def violations(self, message: Message, prefix: str = "") -> list[FieldViolation]:
        """All that is wrong with `message`; paths begin with `prefix` ("input", "requests[7]")."""
        return [
            _violation(found.proto, prefix) for found in self._validator.collect_violations(message)
        ]


def join(prefix: str, path: str) -> str:
    """`path` within `prefix`; either may be empty."""
    return f"{prefix}.{path}" if prefix and path else prefix or path


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
