"""How the interpreter behaves in a service: short turns for its threads, and few collections."""

from __future__ import annotations

import gc
import sys

_TURN_S = 0.0001
_NEW_OBJECTS = 20_000


def prepare_interpreter() -> None:
    """Called once by each process that serves, when what it needs is loaded.

    SQLite's driver gives the interpreter up for each row that it steps over, and has to get it
    back. By default whoever has it meanwhile keeps it for 5 ms: a transaction of a hundred rows
    then waits for the handlers' threads, or for the event loop, most of a second.

    By default the garbage collector looks for cycles whenever there are 700 objects more, which
    a group of tasks has several times, although none of them is part of a cycle; and now and
    then it looks at all that was ever imported.
    """
    sys.setswitchinterval(_TURN_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS)
