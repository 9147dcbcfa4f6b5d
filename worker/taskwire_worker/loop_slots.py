"""Places on the event loop, and the queues whose tasks want one instead of a thread."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from taskwire_core.task import Dispatch
from taskwire_worker.handlers import Handler

Start = Callable[[bytes, int], None]


class LoopSlots:
    """`slots` places for the tasks of `handlers` that run on the loop; `start` begins one that
    was claimed, by task id and dispatch number.

    A delivery's type is known only when it is there, and how many are wanted must be said
    before. So a queue counts as one of coroutines, of threads, or of both, by what the contracts
    put there, and by what was seen on it since.
    """

    def __init__(self, handlers: Mapping[str, Handler], *, slots: int, start: Start) -> None:
        self.start = start
        self._slots = slots
        self._types = frozenset(name for name, each in handlers.items() if each.on_loop)
        self._on_loop: set[str] = set()
        self._in_threads: set[str] = set()
        for name, handler in handlers.items():
            self._note(name, handler.task_type.options.queue)

    def holds(self, task_type: str) -> bool:
        """Whether tasks of that type take a place on the loop."""
        return task_type in self._types

    def noted(self, dispatches: Collection[Dispatch]) -> int:
        """How many of `dispatches` take a place on the loop; remembers on which queue."""
        for dispatch in dispatches:
            self._note(dispatch.type, dispatch.queue)
        return sum(dispatch.type in self._types for dispatch in dispatches)

    def free(self, taken: int) -> int:
        """How many places there are when `taken` are taken."""
        return max(0, self._slots - taken) if self._types else 0

    def on(self, queue: str) -> bool:
        """Whether tasks of the queue take places on the loop."""
        return queue in self._on_loop

    def only_on(self, queue: str) -> bool:
        """Whether no task of the queue takes a thread, as far as is known."""
        return queue in self._on_loop and queue not in self._in_threads

    def _note(self, task_type: str, queue: str) -> None:
        (self._on_loop if task_type in self._types else self._in_threads).add(queue)
