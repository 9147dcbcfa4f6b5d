"""A watch that its server leaves: told once, however often it is tried again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Event = TypeVar("Event")


def tell(line: str) -> None:
    """On stderr, beside what programs read."""
    print(f"taskwire: {line}", file=sys.stderr)


class Interruptions:
    """Says when a watch is interrupted, and when it goes on."""

    def __init__(self, say: Callable[[str], None] = tell) -> None:
        self._say = say
        self._interrupted = False

    def note(self, problem: str) -> None:
        """One more try has failed, of the first or of one that follows it."""
        if not self._interrupted:
            self._say(f"interrupted ({problem}); waiting for the server")
        self._interrupted = True

    def over(self, events: Iterable[Event]) -> Iterator[Event]:
        """`events`, the first of which after an interruption says that it is over."""
        for event in events:
            if self._interrupted:
                self._say("the server is back")
            self._interrupted = False
            yield event
