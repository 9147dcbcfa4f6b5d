"""An exception as operators see it: bounded, scrubbed, and fit to cross processes.

Logs and Periskop show this and never the exception itself, whose text may hold anything.
"""

from __future__ import annotations

import functools
import linecache
import traceback
from dataclasses import dataclass
from types import TracebackType

from taskwire_core.scrubbing import scrubbed, scrubbed_of_scope

MAX_MESSAGE_CHARS = 1_000
MAX_FRAMES = 30
MAX_CAUSES = 4

_MOST_READ_CHARS = 4 * MAX_MESSAGE_CHARS
_LONGEST_LINE = 200


@dataclass(frozen=True, slots=True)
class Frame:
    """One line of a stack; `code` is empty where the source is not at hand."""

    file: str
    line: int
    function: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class Caught:
    """`frames` begin where the call began and end where it was raised."""

    type: str
    message: str
    frames: tuple[Frame, ...] = ()
    cause: Caught | None = None


def catch(error: BaseException, *, depth: int = MAX_CAUSES) -> Caught:
    """What may be shown of `error`; call it in the scope that it was raised in."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return Caught(
        type=type_name(error),
        message=_message(error),
        frames=_frames(error.__traceback__),
        cause=catch(cause, depth=depth - 1) if cause is not None and depth > 0 else None,
    )


def type_name(error: BaseException) -> str:
    """The name of the exception's class, with its module unless it is Python's own."""
    kind = type(error)
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def lines(caught: Caught) -> list[str]:
    """As Python prints a traceback: the cause first, the newest call last."""
    found: list[str] = []
    if caught.cause is not None:
        found += [*lines(caught.cause), "", "The exception above led to this one:", ""]
    if caught.frames:
        found.append("Traceback (most recent call last):")
    for frame in caught.frames:
        found.append(f'  File "{frame.file}", line {frame.line}, in {frame.function}')
        if frame.code:
            found.append(f"    {frame.code}")
    text = f"{caught.type}: {caught.message}" if caught.message else caught.type
    # A message of several lines must not look like other lines of a log.
    found.append(text.replace("\n", "\n  "))
    return found


def _message(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # an exception's own __str__ may raise
        return ""
    # Cut after the masking: half a secret would not be known for one.
    text = scrubbed_of_scope(text[:_MOST_READ_CHARS])
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= MAX_MESSAGE_CHARS else f"{text[: MAX_MESSAGE_CHARS - 1]}…"


def _frames(trace: TracebackType | None) -> tuple[Frame, ...]:
    # Not traceback.extract_tb: an endless recursion has a thousand frames, most are not shown.
    newest: list[tuple[str, int, str]] = []
    for frame, line in traceback.walk_tb(trace):
        code = frame.f_code
        newest.append((code.co_filename, line, code.co_name))
        if len(newest) > 2 * MAX_FRAMES:
            del newest[:MAX_FRAMES]
    return tuple(
        Frame(file, line, name, _code(file, line)) for file, line, name in newest[-MAX_FRAMES:]
    )


@functools.lru_cache(maxsize=4096)
def _code(file: str, line: int) -> str:
    # Scrubbed as well: a password may stand in the source.
    return scrubbed(linecache.getline(file, line).strip()[:_LONGEST_LINE])
