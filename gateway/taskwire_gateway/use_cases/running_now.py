"""Run now: what waits for a time is due at once."""

from __future__ import annotations

from collections.abc import Callable

from taskwire_core.errors import Unready
from taskwire_core.ids import to_text
from taskwire_core.lifecycle import State
from taskwire_core.task import Task
from taskwire_gateway.ports import RunNow
from taskwire_gateway.use_cases.reading import task_not_found


class RunningNow:
    """The use case behind RunTask; `wake` has the backlog looked at."""

    def __init__(self, store: RunNow, wake: Callable[[], None]) -> None:
        self._store = store
        self._wake = wake

    async def run(self, task_id: bytes, *, owner: str) -> tuple[Task, bool]:
        """The task, QUEUED; and whether it was not before.

        Raises:
            NotFound: `owner` has no such task.
            Unready: it does not wait.
            StoreUnavailable: nothing was changed.
        """
        found = await self._store.run_now(task_id, owner=owner, actor=owner)
        if found is None:
            raise task_not_found(task_id)
        task, effective = found
        if task.state is not State.QUEUED:
            raise _not_waiting(task)
        self._wake()
        return task, effective


def _not_waiting(task: Task) -> Unready:
    advice = "it has ended; retry it instead" if task.state.terminal else "it runs already"
    return Unready(
        "TASK_NOT_WAITING",
        f"The task {to_text(task.id)} does not wait: {advice}.",
        metadata={"id": to_text(task.id), "state": task.state.name},
    )
