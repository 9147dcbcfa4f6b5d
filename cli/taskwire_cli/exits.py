"""The exit codes of `taskwire`, and what ends a command with one line and one of them."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum


class Exit(IntEnum):
    """What a program that runs `taskwire` can rely on."""

    OK = 0
    TASK_FAILED = 1
    """The task has ended as FAILED, CANCELLED or EXPIRED."""
    USAGE = 2
    """The command line, a file or a setting is wrong; nothing was done."""
    REFUSED = 3
    """The server answered with an error, or there is no such result or no place to write it to."""
    UNREACHABLE = 4
    """No server answered; trying again may help."""
    NOT_ENDED = 5
    """The task had not ended when --timeout was over."""
    INTERRUPTED = 130
    """Ctrl-C."""


_FIRST_CODES = """\b
Exit codes:
  0  all went well, and a task that was waited for has SUCCEEDED
  1  that task ended otherwise: FAILED, CANCELLED or EXPIRED
  2  the command line, a file or a setting is wrong; nothing was done
  3  the server answered with an error"""

WAITED_EXIT_CODES_HELP = f"""{_FIRST_CODES}
  4  no server answered"""
"""Those of a command that waits for a task and has neither --timeout nor --output."""

EXIT_CODES_HELP = f"""{_FIRST_CODES}, or --output could not write the result
  4  no server answered
  5  the task had not ended when --timeout was over"""


class Stop(Exception):
    """Ends the command with one line on stderr, one more for each of `listed`, and an exit code."""

    def __init__(self, message: str, code: Exit = Exit.USAGE, listed: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.listed = listed


def one_line(text: str) -> str:
    """`text` without line breaks."""
    return " ".join(text.split())
