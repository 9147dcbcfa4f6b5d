"""Queues for operators: which there are, how they do, pause and resume."""

from __future__ import annotations

from collections.abc import Callable, Collection
from difflib import get_close_matches

from taskwire_core.errors import NotFound
from taskwire_gateway.queue_ports import PausedQueues, Queue, QueueStore

_LONGEST_COMPARED = 128


class Queues:
    """The use cases behind QueueService.

    `declared` are the queues of the loaded task types: they are there before their first task.
    `wake` has the backlog looked at, because there is something to dispatch.
    """

    def __init__(
        self,
        store: QueueStore,
        paused: PausedQueues,
        *,
        declared: Collection[str],
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._paused = paused
        self._declared = frozenset(declared)
        self._wake = wake

    async def page(self, *, after: str, size: int) -> tuple[list[Queue], bool]:
        """Up to `size` queues whose names come after `after`; and whether there are more."""
        names = sorted(name for name in await self._names() if name > after)
        return await self._store.read(names[:size]), len(names) > size

    async def get(self, name: str) -> Queue:
        """The queue of that name.

        Raises:
            NotFound: nothing names it.
        """
        await self._require(name)
        return (await self._store.read([name]))[0]

    async def pause(self, name: str, *, actor: str, reason: str) -> tuple[Queue, bool]:
        """The queue, of which nothing begins any more; and whether this paused it.

        Raises:
            NotFound: nothing names it.
        """
        await self._require(name)
        effective = await self._store.pause(name, actor=actor, reason=reason)
        await self._paused.anew()
        return (await self._store.read([name]))[0], effective

    async def resume(self, name: str) -> tuple[Queue, bool]:
        """The queue, which is not paused; and whether this ended its pause.

        Raises:
            NotFound: nothing names it.
        """
        await self._require(name)
        effective = await self._store.resume(name)
        await self._paused.anew()
        self._wake()
        return (await self._store.read([name]))[0], effective

    async def _names(self) -> frozenset[str]:
        return self._declared | await self._store.names()

    async def _require(self, name: str) -> None:
        names = await self._names()
        if name not in names:
            raise queue_not_found(name, names)


def queue_not_found(name: str, names: Collection[str]) -> NotFound:
    """The answer for a queue that nothing names."""
    shown = name[:_LONGEST_COMPARED]
    near = get_close_matches(shown, names, n=3, cutoff=0.6)
    hint = f"; did you mean {' or '.join(near)}?" if near else "; see ListQueues."
    return NotFound(
        "QUEUE_NOT_FOUND",
        f"There is no queue {shown}{hint}",
        metadata={"queue": shown, "near": ",".join(near)},
    )
