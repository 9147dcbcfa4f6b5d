"""The dispatch window's arithmetic, and the dispatcher around it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest
from msgspec.structs import replace

from taskwire_core.errors import StoreUnavailable
from taskwire_core.task import Dispatch
from taskwire_gateway.dispatch.dispatcher import Dispatcher
from taskwire_gateway.dispatch.window import FIRST_RATE, LEAST, Window, Windows
from taskwire_gateway.queue_ports import PausedQueues
from taskwire_gateway.workers_alive import LiveWorkers, Served
from tests.support.eventually import eventually_async
from tests.support.failpoints import armed
from tests.support.tasks import task

TYPE = "acme.images.v1.ImageTasks/MakeThumbnail"
QUEUE = "thumbnails"


@pytest.mark.parametrize(
    ("claimed_per_s", "size"),
    [(0, LEAST), (100, LEAST), (1_000, 2_000), (10_000, 20_000)],
)
def test_a_window_is_two_seconds_of_what_is_claimed(claimed_per_s: int, size: int) -> None:
    window = Window()
    for _ in range(30):
        window.sent(claimed_per_s)
        window.measured(window_outstanding := 500, elapsed_s=1.0)
        assert window_outstanding == 500
    assert window.size == pytest.approx(size, rel=0.01)


def test_room_shrinks_with_what_is_sent_and_returns_with_what_is_claimed() -> None:
    window = Window()
    size = window.size
    window.sent(size)
    assert window.room == 0
    window.measured(0, elapsed_s=1.0)
    assert window.room >= size


def test_an_idle_queue_keeps_its_first_rate() -> None:
    window = Window()
    window.measured(0, elapsed_s=100)
    assert window.size == 2 * FIRST_RATE


def test_idle_queues_are_forgotten() -> None:
    windows = Windows()
    windows.of("a").sent()
    assert windows.any()
    windows.measured({}, elapsed_s=1)
    assert not windows.any()


class Marks:
    def __init__(self) -> None:
        self.marked: list[Dispatch] = []
        self.released = 0
        self.away = 0
        self.paused_queues: frozenset[str] = frozenset()

    async def release_unpublished(self) -> int:
        if self.away:
            self.away -= 1
            raise StoreUnavailable("away")
        self.released += 1
        return 1

    async def mark_dispatched(self, dispatches: Sequence[Dispatch]) -> None:
        self.marked.extend(dispatches)

    async def dispatched(self) -> Mapping[str, int]:
        return {}

    async def live_workers(self) -> Served:
        return {(QUEUE, TYPE): 1}

    async def paused(self) -> frozenset[str]:
        return self.paused_queues


class Broker:
    def __init__(self) -> None:
        self.connected = True
        self.published: list[Dispatch] = []
        self.bursts: list[int] = []

    def publish(self, dispatches: Sequence[Dispatch]) -> None:
        self.published.extend(dispatches)
        self.bursts.append(len(dispatches))


async def started(broker: Broker, marks: Marks) -> Dispatcher:
    workers = LiveWorkers(marks)
    await workers.now()
    dispatcher = Dispatcher(marks, workers, paused := PausedQueues(marks))
    await paused.now()
    dispatcher.start(broker)
    return dispatcher


async def test_a_task_is_published_at_once_and_marked_when_confirmed() -> None:
    dispatcher = await started(broker := Broker(), marks := Marks())
    assert dispatcher.takes(TYPE, QUEUE)
    dispatcher.dispatch([task()])
    assert len(broker.published) == 1
    dispatcher.confirmed(broker.published)
    await eventually_async(lambda: marks.marked == broker.published)
    await dispatcher.close()


async def test_while_others_are_on_their_way_tasks_are_published_together() -> None:
    dispatcher = await started(broker := Broker(), Marks())
    for _ in range(3):
        dispatcher.dispatch([task()])
    assert broker.bursts == [1]
    await asyncio.sleep(0)
    assert broker.bursts == [1, 2]
    await dispatcher.close()


async def test_a_task_of_a_paused_queue_is_left_to_the_backlog() -> None:
    marks = Marks()
    marks.paused_queues = frozenset({QUEUE})
    dispatcher = await started(Broker(), marks)
    assert not dispatcher.takes(TYPE, QUEUE)
    assert dispatcher.spilled.is_set()
    await dispatcher.close()


async def test_a_queue_that_nobody_works_on_has_no_window() -> None:
    dispatcher = await started(Broker(), Marks())
    assert not dispatcher.takes(TYPE, "made up")
    assert not dispatcher.windows()
    await dispatcher.close()


async def test_a_refused_dispatch_is_published_again_when_the_broker_is_back() -> None:
    dispatcher = await started(broker := Broker(), Marks())
    dispatcher.dispatch([task()])
    await asyncio.sleep(0)
    broker.connected = False
    dispatcher.refused(list(broker.published))
    assert not dispatcher.takes(TYPE, QUEUE)
    broker.connected = True
    dispatcher.connected()
    await asyncio.sleep(0)
    assert len(broker.published) == 2
    await dispatcher.close()


async def test_what_the_broker_has_refused_is_not_marked() -> None:
    dispatcher = await started(broker := Broker(), marks := Marks())
    dispatcher.dispatch([task()])
    await asyncio.sleep(0)
    broker.connected = False
    dispatcher.refused(list(broker.published))
    await dispatcher.close()
    assert marks.marked == []


async def test_nothing_is_published_while_its_confirm_is_outstanding() -> None:
    dispatcher = await started(broker := Broker(), Marks())
    once = task()
    dispatcher.dispatch([once])
    await asyncio.sleep(0)
    dispatcher.dispatch([once])
    await asyncio.sleep(0)
    assert len(broker.published) == 1
    await dispatcher.close()


async def test_a_later_dispatch_of_a_task_does_not_wait_for_the_confirm_of_an_earlier_one() -> None:
    dispatcher = await started(broker := Broker(), marks := Marks())
    first = task()
    again = replace(first, dispatch=first.dispatch + 1)
    dispatcher.dispatch([first])
    await asyncio.sleep(0)
    dispatcher.dispatch([again])
    await asyncio.sleep(0)
    assert [found.number for found in broker.published] == [first.dispatch, again.dispatch]
    dispatcher.confirmed(list(broker.published))
    await eventually_async(lambda: marks.marked == broker.published)
    await dispatcher.close()


async def test_a_full_window_leaves_tasks_to_the_backlog() -> None:
    dispatcher = await started(Broker(), Marks())
    taken = sum(dispatcher.takes(TYPE, QUEUE) for _ in range(5_000))
    assert taken == 2 * FIRST_RATE
    assert dispatcher.spilled.is_set()
    assert dispatcher.room(QUEUE) == 0
    await dispatcher.close()


async def test_a_type_without_a_worker_is_left_to_the_backlog() -> None:
    dispatcher = await started(Broker(), Marks())
    assert not dispatcher.takes("acme.v1.Other/Thing", QUEUE)
    await dispatcher.close()


async def test_a_submission_that_nobody_is_sure_of_is_left_to_the_backlog() -> None:
    dispatcher = await started(Broker(), marks := Marks())
    dispatcher.unsure()
    await eventually_async(lambda: marks.released == 1)
    assert dispatcher.spilled.is_set()
    await dispatcher.close()


async def test_what_nobody_is_sure_of_is_not_forgotten_while_the_store_is_away() -> None:
    dispatcher = await started(Broker(), marks := Marks())
    marks.away = 1
    dispatcher.unsure()
    await eventually_async(lambda: marks.released == 1)
    assert dispatcher.spilled.is_set()
    await dispatcher.close()


async def test_what_a_defect_keeps_from_the_broker_is_published_again() -> None:
    dispatcher = await started(broker := Broker(), Marks())
    with armed("publish.begun:error"):
        dispatcher.dispatch([task()])
        await eventually_async(lambda: broker.published)
    await dispatcher.close()
