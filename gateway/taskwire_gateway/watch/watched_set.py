"""The tasks that a watch follows, as the store has them: by ids, or those that match a filter."""

from __future__ import annotations

from collections.abc import Sequence

from taskwire_core.changes import Change
from taskwire_core.listing import Listing, Order, Place
from taskwire_core.task import Task, View
from taskwire_gateway.use_cases.listing import TaskLists
from taskwire_gateway.use_cases.reading import task_not_found
from taskwire_gateway.watch.change_hub import ChangeReader
from taskwire_gateway.watch.many import Wish

LISTED = 200
"""How many tasks are read at a time."""

READ_BYTES = 512 * 1024
"""How many bytes of inputs and results are read at a time, unless one task has more: so much of
them a client that does not read keeps in memory."""


class WatchedSet:
    """What `wish` asks for."""

    def __init__(self, wish: Wish, reader: ChangeReader, lists: TaskLists) -> None:
        self.wish = wish
        self._reader = reader
        self._lists = lists
        self._ids = sorted(wish.ids or ())

    def may_have(self, change: Change) -> bool:
        """Whether the changed task may be one of them, as far as its id and owner tell."""
        ids = self.wish.ids
        return change.owner == self.wish.owner and (ids is None or change.task_id in ids)

    async def require_ids(self) -> None:
        """Refuse ids of tasks that are not there.

        Raises:
            NotFound: for the first of them.
        """
        for start in range(0, len(self._ids), LISTED):
            some = self._ids[start : start + LISTED]
            found = await self._reader.tasks(some, View.BASIC)
            for task_id in some:
                if task_id not in found or found[task_id].owner != self.wish.owner:
                    raise task_not_found(task_id)

    async def page(self, after: bytes, view: View) -> tuple[Sequence[Task], bytes | None]:
        """The next of them, by their ids, and where they go on; None at their end.

        There may be none although they go on: the store looks at so many tasks at a time only.
        """
        if self.wish.ids is None:
            page = await self._lists.list_tasks(self._listing(after, view))
            return page.tasks, page.next.id if page.next is not None else None
        rest = [task_id for task_id in self._ids if task_id > after]
        count, found = await self._reader.some_tasks(rest[:LISTED], view, READ_BYTES)
        some = [found[task_id] for task_id in rest[:count] if task_id in found]
        return some, rest[count - 1] if len(rest) > count else None

    def _listing(self, after: bytes, view: View) -> Listing:
        return Listing(
            owner=self.wish.owner,
            filter=self.wish.filter,
            order=Order.OLDEST,
            limit=LISTED,
            view=view,
            max_bytes=READ_BYTES,
            after=Place(after) if after else None,
        )
