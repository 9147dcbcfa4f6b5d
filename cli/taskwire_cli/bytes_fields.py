"""Files as the values of bytes fields: into a task's input, and out of its result.

A field is named by its path, such as "image", "page.scan" or "attachments[0].content".
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import click
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
from google.protobuf.message import Message

from taskwire_cli.exits import Exit, Stop
from taskwire_cli.values import read_file

_STEP = re.compile(r"(\w+)(?:\[(\d{1,4})\])?")


def check_field(message_class: type[Message], path: str) -> None:
    """Refuse a `path` that is no bytes field of the message.

    Raises:
        click.UsageError: with the bytes fields that there are.
    """
    _walk(message_class(), path)


def put_files(message: Message, files: Iterable[tuple[str, str]]) -> None:
    """Fill the bytes field `path` of `message` with the content of `file`, for each pair.

    Raises:
        click.UsageError: there is no such field, or a file cannot be read.
    """
    for path, file in files:
        owner, name = _walk(message, path)
        setattr(owner, name, read_file(file))


def bytes_at(message: Message, path: str) -> bytes:
    """The content of the bytes field `path`; empty when it is not set.

    Raises:
        click.UsageError: there is no such field.
        Stop: a list that it leads through is not that long.
    """
    owner, name = _walk(message, path, make=False)
    value = getattr(owner, name)
    assert isinstance(value, bytes)
    return value


def _walk(message: Message, path: str, *, make: bool = True) -> tuple[Message, str]:
    """The message that owns the last name of `path`, and that name.

    With `make`, elements of lists that are not there are added.
    """
    *outer, last = path.split(".")
    owner = message
    for step in outer:
        inner = _inner(owner, step, make=make)
        if inner is None:
            raise _no_such_field(message, path)
        owner = inner
    if last not in _bytes_fields(owner):
        raise _no_such_field(message, path)
    return owner, last


def _inner(owner: Message, step: str, *, make: bool) -> Message | None:
    """The message in the field that `step` names, or None when there is no such field."""
    found = _STEP.fullmatch(step)
    field = owner.DESCRIPTOR.fields_by_name.get(found[1]) if found else None
    if found is None or field is None or field.message_type is None:
        return None
    index = found[2]
    if field.message_type.GetOptions().map_entry or field.is_repeated != (index is not None):
        return None
    value = getattr(owner, field.name)
    if index is not None and len(value) <= int(index) and not make:
        raise Stop(f"there is no {step}: {field.name} has {len(value)}", Exit.REFUSED)
    return value if index is None else _element(value, int(index))


def _element(values: RepeatedCompositeFieldContainer[Message], index: int) -> Message:
    """The message at `index`; it and those before it are made when they are not there."""
    while len(values) <= index:
        values.add()
    return values[index]


def _no_such_field(message: Message, path: str) -> click.UsageError:
    found = ", ".join(_bytes_fields(message)) or "none"
    return click.UsageError(
        f"{path} is no bytes field of {message.DESCRIPTOR.full_name}; it has {found}"
    )


def _bytes_fields(message: Message) -> list[str]:
    return [
        field.name
        for field in message.DESCRIPTOR.fields
        if field.type == FieldDescriptor.TYPE_BYTES and not field.is_repeated
    ]
