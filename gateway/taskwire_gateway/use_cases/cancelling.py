"""Cancel: a waiting task ends at once, a running one is told, an ended one stays as it is."""

from __future__ import annotations

from taskwire_core.failpoints import ARMED, hit
from taskwire_gateway.ports import Cancelled, TaskWriter
from taskwire_gateway.use_cases.reading import task_not_found


class Cancelling:
    """The use case behind CancelTask."""

    def __init__(self, writer: TaskWriter) -> None:
        self._writer = writer

    async def cancel(self, task_id: bytes, *, owner: str, reason: str) -> Cancelled:
        """The task afterwards; no attempt of a waiting one begins any more.

        Raises:
            NotFound: `owner` has no such task.
            StoreUnavailable: nothing was changed.
        """
        if ARMED:
            hit("cancel.begun")
        found = await self._writer.cancel(task_id, owner=owner, reason=reason, actor=owner)
        if ARMED:
            hit("cancel.committed")
        if found is None:
            raise task_not_found(task_id)
        return found
