"""Which dispatches want a mark in SQL: all that are confirmed, but those that are known to be over.

A mark says that a queued task is with the broker. A short task is claimed before its mark could
be written, which would then match nothing. The feed tells of that: a task with a greater version
than the one that was dispatched does not wait for that dispatch any more, and whenever it is
queued again, its dispatch has another number. What nobody tells of is marked.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from taskwire_core.task import AnyRing, Dispatch, ProgressRing, Ring

Key = tuple[bytes, int]


def key_of(dispatch: Dispatch) -> Key:
    """What tells a dispatch from all others."""
    return dispatch.task_id, dispatch.number


class Unmarked:
    """Belongs to one event loop. A task is `in` it while news of it could save a mark."""

    def __init__(self) -> None:
        self._sent: dict[bytes, Dispatch] = {}
        """The newest dispatch of each task that has not moved since, as far as is known."""
        self._over: set[Key] = set()
        """Those whose task has moved before the broker confirmed them."""
        self._confirmed: dict[Key, Dispatch] = {}

    def __contains__(self, task_id: object) -> bool:
        """Whether the task is waited for; asked by the feed, in whatever thread."""
        return task_id in self._sent

    @property
    def confirmed(self) -> Collection[Dispatch]:
        """What is to be marked now."""
        return self._confirmed.values()

    def send(self, dispatches: Sequence[Dispatch]) -> None:
        """These are about to be published: nobody can have claimed them yet."""
        for found in dispatches:
            if found.version:
                self._sent[found.task_id] = found

    def hear(self, ring: AnyRing) -> None:
        """A task has moved, or is deleted."""
        found = self._sent.get(ring.task_id)
        if found is None or isinstance(ring, ProgressRing):
            return
        if isinstance(ring, Ring) and ring.version <= found.version:
            return
        del self._sent[ring.task_id]
        if self._confirmed.pop(key_of(found), None) is None:
            self._over.add(key_of(found))

    def confirm(self, dispatches: Sequence[Dispatch]) -> None:
        """The broker has these."""
        for found in dispatches:
            if key_of(found) in self._over:
                self._over.remove(key_of(found))
                self._forget(found)
            else:
                self._confirmed[key_of(found)] = found

    def take(self) -> list[Dispatch]:
        """What is to be marked; no news can save that any more."""
        taken = list(self._confirmed.values())
        self._confirmed.clear()
        for found in taken:
            self._forget(found)
        return taken

    def put_back(self, taken: Sequence[Dispatch]) -> None:
        """The marks were not written."""
        self._confirmed.update((key_of(found), found) for found in taken)

    def _forget(self, dispatch: Dispatch) -> None:
        newest = self._sent.get(dispatch.task_id)
        if newest is not None and newest.number == dispatch.number:
            del self._sent[dispatch.task_id]
