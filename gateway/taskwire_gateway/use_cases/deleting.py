"""Delete: an ended task goes with everything that belongs to it; a live one stays."""

from __future__ import annotations

from typing import Protocol

from taskwire_core.lifecycle import State
from taskwire_gateway.use_cases.reading import task_not_ended, task_not_found


class TaskDeleter(Protocol):
    """The store, as far as a delete needs it. Raises StoreUnavailable."""

    async def delete(self, task_id: bytes, *, owner: str) -> State | None:
        """The state in which the task was found: it is deleted if that is a terminal one. None
        when `owner` has no such task."""


class Deleting:
    """The use case behind DeleteTask; many calls at the same time share their transactions."""

    def __init__(self, store: TaskDeleter) -> None:
        self._store = store

    async def delete(self, task_id: bytes, *, owner: str) -> None:
        """Delete an ended task for good; its request id may be used again.

        Raises:
            NotFound: `owner` has no such task.
            Unready: it has not ended; nothing was changed.
            StoreUnavailable: nothing was changed.
        """
        state = await self._store.delete(task_id, owner=owner)
        if state is None:
            raise task_not_found(task_id)
        if not state.terminal:
            raise task_not_ended(task_id, state, wish="delete")
