"""Files as the values of bytes fields: into a task's input, and out of its result."""

from __future__ import annotations

from collections.abc import Iterable

import click
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from taskwire_cli.values import read_file


def check_field(message_class: type[Message], path: str) -> None:
    """Refuse a `path` ("image", "page.scan") that is no bytes field of the message.

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
    """
    owner, name = _walk(message, path)
    value = getattr(owner, name)
    assert isinstance(value, bytes)
    return value


def _walk(message: Message, path: str) -> tuple[Message, str]:
    """The message that owns the last name of `path`, and that name."""
    *outer, last = path.split(".")
    owner = message
    for name in outer:
        field = owner.DESCRIPTOR.fields_by_name.get(name)
        if field is None or field.type != FieldDescriptor.TYPE_MESSAGE or field.is_repeated:
            raise _no_such_field(message, path)
        owner = getattr(owner, name)
    if last not in _bytes_fields(owner):
        raise _no_such_field(message, path)
    return owner, last


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
