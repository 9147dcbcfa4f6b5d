"""How soon a thread that waits for the interpreter gets its turn."""

from __future__ import annotations

import sys

_TURN_S = 0.0001


def take_short_turns() -> None:
    """Called once by each process whose threads share work with the store's writer.

    SQLite's driver gives the interpreter up for each row that it steps over, and has to get it
    back. By default whoever has it meanwhile keeps it for 5 ms: a transaction of a hundred rows
    then waits for the handlers' threads, or for the event loop, most of a second.
    """
    sys.setswitchinterval(_TURN_S)
