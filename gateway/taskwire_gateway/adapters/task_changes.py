"""The change log in the database, as watches of many tasks read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from taskwire_core.changes import ChangePage, Cursor
from taskwire_core.task import Task, View
from taskwire_db.reader import Reader


class TaskChangeStore:
    """See `ChangeReader`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def head(self) -> Cursor:
        """See `ChangeReader`."""
        return await self._reader.call(Reader.change_head)

    async def changes(self, after: Cursor, limit: int) -> ChangePage:
        """See `ChangeReader`."""
        return await self._reader.call(Reader.changes, after, limit)

    async def tasks(self, ids: Sequence[bytes], view: View) -> Mapping[bytes, Task]:
        """See `ChangeReader`."""
        return await self._reader.call(Reader.get, ids, view)

    async def some_tasks(
        self, ids: Sequence[bytes], view: View, max_bytes: int
    ) -> tuple[int, Mapping[bytes, Task]]:
        """See `ChangeReader`."""
        return await self._reader.call(Reader.get_some, ids, view, max_bytes)
