"""What people type as the value of an option: durations, times, pairs, files."""

from __future__ import annotations

import os
import sys
from datetime import datetime, timedelta
from pathlib import Path
from stat import S_ISDIR

import click

from taskwire_cli.exits import Exit, Stop
from taskwire_core.settings import parse_duration


class Duration(click.ParamType[timedelta]):
    """`250ms`, `30s`, `5m`, `2h` or `7d`."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        if isinstance(value, timedelta):
            return value
        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(f"{value!r} {error}", param, ctx)


class Time(click.ParamType[datetime]):
    """An ISO 8601 time; without an offset it is local time."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            return datetime.fromisoformat(str(value)).astimezone()
        except ValueError:
            self.fail(f"{value!r} must be a time such as 2027-01-31T09:00", param, ctx)


class Pair(click.ParamType[tuple[str, str]]):
    """`NAME=VALUE`."""

    name = "pair"

    def __init__(self, example: str) -> None:
        self._example = example

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        left, separator, right = str(value).partition("=")
        if not separator or not left or not right:
            self.fail(f"{value!r} must be NAME=VALUE, for example {self._example}", param, ctx)
        return left, right


def text_of(argument: str) -> str:
    """`argument` itself, the content of FILE for `@FILE`, or standard input for `-`.

    Raises:
        click.UsageError: the file cannot be read.
    """
    try:
        if argument == "-":
            return sys.stdin.read()
        return read_file(argument).decode() if argument.startswith("@") else argument
    except UnicodeDecodeError:
        what = "standard input" if argument == "-" else argument[1:]
        raise click.UsageError(f"{what} is not text in UTF-8") from None


def read_file(name: str) -> bytes:
    """The content of the file `name`, which may be written `@name`.

    Raises:
        click.UsageError: it cannot be read.
    """
    path = Path(name.removeprefix("@"))
    try:
        return path.read_bytes()
    except OSError as error:
        raise click.UsageError(f"cannot read {path}: {error.strerror}") from None


def check_writable(name: str) -> None:
    """Refuse a file that `write_file` could not write now.

    Raises:
        click.UsageError: says why.
    """
    path = Path(name)
    try:
        found = _stat(path)
        if found is not None and S_ISDIR(found.st_mode):
            raise click.UsageError(f"cannot write {path}: it is a folder")
        place = path.parent if found is None else path
        if _stat(place) is None:
            raise click.UsageError(f"cannot write {path}: there is no folder {place}")
        if not os.access(place, os.W_OK):
            raise click.UsageError(f"cannot write {path}: you may not write to {place}")
    except OSError as error:  # It is in a folder that one may not enter, or its name is too long.
        raise click.UsageError(f"cannot write {path}: {error.strerror}") from None


def _stat(path: Path) -> os.stat_result | None:
    """None when there is nothing; Path.exists() says so, since Python 3.14, of any OSError."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def write_file(name: str, data: bytes) -> None:
    """Write `data` to the file `name`.

    Raises:
        Stop: it cannot be written.
    """
    try:
        Path(name).write_bytes(data)
    except OSError as error:
        raise Stop(f"cannot write {name}: {error.strerror}", Exit.REFUSED) from None
