"""What the leader's backlog leaves where it is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from taskwire_core.ids import new_id
from taskwire_core.task import Dispatch
from taskwire_gateway.keeper.backlog import Backlog
from taskwire_gateway.queue_ports import PausedQueues
from taskwire_gateway.workers_alive import LiveWorkers, Served

TYPE, STRANGE = "acme.v1.Images/Shrink", "acme.v1.Images/Blur"


class Rows:
    """A task of either type in two queues; a worker knows one of the types."""

    def __init__(self) -> None:
        self.waiting = [
            Dispatch(new_id(), kind, queue, 1)
            for queue in ("images", "videos")
            for kind in (TYPE, STRANGE)
        ]
        self.paused_queues: frozenset[str] = frozenset()

    async def queued_types(self) -> Mapping[str, frozenset[str]]:
        queues = {row.queue for row in self.waiting}
        return {q: frozenset(r.type for r in self.waiting if r.queue == q) for q in queues}

    async def take(self, queue: str, types: Sequence[str], limit: int) -> list[Dispatch]:
        taken = [row for row in self.waiting if row.queue == queue and row.type in types][:limit]
        self.waiting = [row for row in self.waiting if row not in taken]
        return taken

    async def live_workers(self) -> Served:
        return {(queue, TYPE): 1 for queue in ("images", "videos")}

    async def paused(self) -> frozenset[str]:
        return self.paused_queues


class Room:
    """A broker that takes everything."""

    ready = True

    def __init__(self) -> None:
        self.spilled = asyncio.Event()
        self.published: list[tuple[str, str]] = []

    def room(self, queue: str) -> int:
        return 100

    def unsure(self) -> None:
        raise AssertionError("every row is sure here")

    def dispatch_backlog(self, dispatches: Sequence[Dispatch]) -> None:
        self.published += [(found.queue, found.type) for found in dispatches]


def backlog(rows: Rows, room: Room) -> Backlog:
    return Backlog(rows, room, LiveWorkers(rows), PausedQueues(rows))


async def test_the_backlog_of_a_paused_queue_stays_until_the_queue_is_resumed() -> None:
    swept = backlog(rows := Rows(), room := Room())
    rows.paused_queues = frozenset({"images"})
    assert await swept.sweep() == 1
    assert room.published == [("videos", TYPE)]
    rows.paused_queues = frozenset()
    assert await swept.sweep() == 1
    assert room.published[1:] == [("images", TYPE)]


async def test_the_backlog_of_a_type_that_no_worker_runs_stays() -> None:
    swept = backlog(rows := Rows(), room := Room())
    assert await swept.sweep() == 2
    assert {kind for _, kind in room.published} == {TYPE}
    assert {row.type for row in rows.waiting} == {STRANGE}
