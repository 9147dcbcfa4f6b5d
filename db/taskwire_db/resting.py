"""How long a writer's thread rests between two groups, and why it does.

Two threads that fight for the interpreter at each of SQLite's statements make both slower, and
each transaction costs the same whether it writes one task or thirty. So a thread that would be at
it all the time leaves the interpreter to those who make the next items, and only such a thread:
while fewer come than it could write one by one nobody waits for a rest. An item may be a batch of
tasks: whether the thread keeps up is a matter of items, and what a transaction is worth one of
tasks. The numbers are of measurements in docs/performance.md.
"""

from __future__ import annotations

SEVERAL = 3
"""Of how many tasks a group is at least that is followed by a rest."""
BUSY = 2
"""How many items come at least while the thread writes a group that is followed by one."""
WORTH = 32
"""Of how many tasks a transaction is worth what it costs by itself."""
REST_S = 0.01
"""How long a rest is at most for the sake of those who make items."""
LONG_REST_S = 0.03
"""How long it is at most until a group is worth its transaction."""


def rest_after(items: int, tasks: int, took_s: float, since_s: float) -> float:
    """The seconds of rest behind a group of so many items, with so many tasks, whose transaction
    took `took_s`, and which ended `since_s` after the group before it.

    It is as long as the transaction was, or until the next group is worth one.
    """
    if tasks < SEVERAL or took_s * items < BUSY * since_s:
        return 0.0
    every_s = since_s / tasks
    return max(min(took_s, REST_S), min(WORTH * every_s - took_s, LONG_REST_S))
