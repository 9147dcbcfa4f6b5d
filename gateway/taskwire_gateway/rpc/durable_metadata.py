"""What a durable call may say in its metadata: keys that begin with `taskwire-`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from taskwire_core.errors import FieldViolation, InvalidRequest
from taskwire_core.options import Priority
from taskwire_core.settings import parse_duration

PREFIX = "taskwire-"
REQUEST_ID = "taskwire-request-id"
LABEL = "taskwire-label"
DELAY = "taskwire-delay"
PRIORITY = "taskwire-priority"
CANCEL_ON_DISCONNECT = "taskwire-cancel-on-disconnect"
_KEYS_SHOWN = 10
_KEY_CHARS_SHOWN = 64
TASK_ID = "taskwire-task-id"
"""Of the answer: in the headers of a call without a request id, and in every trailer."""


@dataclass(frozen=True, slots=True)
class DurableMetadata:
    """A durable call's wishes. `request_id` is empty where the caller gave none."""

    request_id: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    delay: timedelta | None = None
    priority: Priority | None = None
    cancel_on_disconnect: bool = False


def read_metadata(pairs: Sequence[tuple[str, str | bytes]]) -> DurableMetadata:
    """The wishes in a call's metadata; keys of others are left alone.

    Raises:
        InvalidRequest: a key is unknown, it or a label is given twice, or its value cannot be
            understood.
    """
    ours = [(key, _text(value)) for key, value in pairs if key.startswith(PREFIX)]
    if not ours:
        return DurableMetadata()
    unknown = [key for key, _ in ours if key not in _PARSERS and key != LABEL]
    if unknown:
        raise _unknown(unknown)
    values: dict[str, Any] = {"labels": {}}
    problems: list[FieldViolation] = []
    for key, text in ours:
        _read_one(key, text, values, problems)
    if problems:
        raise _invalid(problems)
    return DurableMetadata(**values)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("ascii", "replace")


def _read_one(key: str, text: str, values: dict[str, Any], problems: list[FieldViolation]) -> None:
    if key == LABEL:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name:
            problems.append(FieldViolation(key, "must be key=value"))
        if name in values["labels"]:
            problems.append(FieldViolation(key, "must be given once for each label"))
        values["labels"][name] = value
        return
    name, parser = _PARSERS[key]
    if name in values:
        problems.append(FieldViolation(key, "must be given once"))
        return
    try:
        values[name] = parser(text)
    except ValueError as error:
        problems.append(FieldViolation(key, str(error)))


def _request_id(text: str) -> str:
    if not 1 <= len(text) <= 128 or not text.isascii() or not text.isprintable():
        raise ValueError("must be 1 to 128 printable ASCII characters")
    return text


def _priority(text: str) -> Priority:
    try:
        return Priority[text.upper().removeprefix("PRIORITY_")]
    except KeyError:
        raise ValueError("must be low, normal or high") from None


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("must be true or false")
    return text.lower() == "true"


_PARSERS: dict[str, tuple[str, Callable[[str], object]]] = {
    REQUEST_ID: ("request_id", _request_id),
    DELAY: ("delay", parse_duration),
    PRIORITY: ("priority", _priority),
    CANCEL_ON_DISCONNECT: ("cancel_on_disconnect", _flag),
}


def refuse_metadata(pairs: Sequence[tuple[str, str | bytes]]) -> None:
    """Refuse the metadata of durable calls where it would be ignored: on TaskService's methods.

    Raises:
        InvalidRequest: there is a key of ours.
    """
    ours = [key for key, _ in pairs if key.startswith(PREFIX)]
    if ours:
        raise _unknown(
            ours, "is for calls on a task type's own path; use the fields of the request"
        )


def _unknown(keys: list[str], why: str = "") -> InvalidRequest:
    why = why or f"means nothing; the known ones are {', '.join(sorted([*_PARSERS, LABEL]))}"
    # The answer travels in headers too, which have less room than the call's.
    shown = [key[:_KEY_CHARS_SHOWN] for key in keys[:_KEYS_SHOWN]]
    return InvalidRequest(
        "UNKNOWN_METADATA",
        f"The metadata key {shown[0]} {why}.",
        metadata={"keys": ",".join(shown)},
        violations=[FieldViolation(key, "is not a known metadata key") for key in keys],
    )


def _invalid(problems: list[FieldViolation]) -> InvalidRequest:
    first = problems[0]
    return InvalidRequest(
        "INVALID_METADATA",
        f"The metadata is not valid; {first.field} {first.description}.",
        violations=problems,
    )
