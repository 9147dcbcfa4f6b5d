"""The nine rules of a watch, over the real store and the embedded feed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta

import grpc
import pytest

from taskwire.v1 import task_pb2
from taskwire.v1 import task_service_pb2 as pb
from taskwire_core.errors import RequestError
from taskwire_core.ids import from_text, new_id
from taskwire_core.lifecycle import State
from taskwire_core.task import ProgressRing, Ring, Task, View
from taskwire_db.feed.embedded import EmbeddedFeed
from taskwire_gateway.embedded import Foundation
from taskwire_gateway.store import GatewayStore
from taskwire_gateway.use_cases.reading import GroupReader
from taskwire_gateway.watch.hub import WatchHub
from taskwire_gateway.watch.slot import End
from taskwire_gateway.watch.watching import Event, Heartbeat, Watching
from tests.gateway.running import NOT_THERE, Refusal, Running, Worker, refusal
from tests.support.eventually import eventually_async

Closed = pb.Closed


class Watcher:
    """Reads a stream one message at a time."""

    def __init__(self, running: Running, task_id: str, after_version: int = 0) -> None:
        request = pb.WatchTaskRequest(id=task_id, after_version=after_version)
        self.call = running.tasks.WatchTask(request, timeout=20)
        self._messages = self.call.__aiter__()

    async def next(self) -> pb.WatchTaskResponse:
        return await anext(self._messages)

    async def rest(self) -> list[pb.WatchTaskResponse]:
        return [message async for message in self._messages]


async def test_a_fresh_watch_begins_with_the_task_and_ends_with_its_outcome(
    running: Running, worker: Worker
) -> None:
    watcher = Watcher(running, task_id := await running.submitted())
    assert (await watcher.next()).task.version == 1
    held = await worker.claim(task_id)
    assert (await watcher.next()).task.state == task_pb2.TASK_STATE_RUNNING
    await worker.succeed(held, running.message("acme.v1.ShrinkResponse", url="small"))
    last, closed = await watcher.rest()
    assert last.task.state == task_pb2.TASK_STATE_SUCCEEDED
    assert last.task.result.value == b"\n\x05small"
    assert closed.closed.reason == Closed.REASON_TERMINAL
    assert await watcher.call.code() is grpc.StatusCode.OK


async def test_a_fresh_watch_of_an_ended_task_sends_it_first(running: Running) -> None:
    task_id = await running.submitted()
    await running.tasks.CancelTask(pb.CancelTaskRequest(id=task_id))
    first, closed = await Watcher(running, task_id).rest()
    assert first.task.state == task_pb2.TASK_STATE_CANCELLED
    assert closed.closed.reason == Closed.REASON_TERMINAL


async def test_a_resumed_watch_sends_a_heartbeat_when_nothing_has_changed(
    running: Running,
) -> None:
    watcher = Watcher(running, await running.submitted(), after_version=1)
    beat = await watcher.next()
    assert beat.WhichOneof("kind") == "heartbeat"
    assert beat.heartbeat.pending_reason == task_pb2.PENDING_REASON_NO_WORKER
    watcher.call.cancel()


async def test_a_resumed_watch_misses_no_end(running: Running, worker: Worker) -> None:
    task_id = await running.submitted()
    held = await worker.claim(task_id)
    await worker.fail(held, NOT_THERE)
    first, closed = await Watcher(running, task_id, after_version=2).rest()
    assert (first.task.version, first.task.state) == (3, task_pb2.TASK_STATE_FAILED)
    assert first.task.error.status.message == "There is no such picture."
    assert first.task.error.stack_trace == ""
    assert closed.closed.reason == Closed.REASON_TERMINAL


async def test_a_cursor_ahead_of_the_task_is_out_of_range(running: Running) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await Watcher(running, await running.submitted(), after_version=9).rest()
    refused = Refusal(raised.value)
    assert refused.code is grpc.StatusCode.OUT_OF_RANGE
    assert refused.reason == "VERSION_AHEAD"
    assert "after_version 0" in refused.message


async def test_an_unknown_task_is_not_found(running: Running) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await Watcher(running, "01a204aa-0000-7000-8000-000000000000").rest()
    assert Refusal(raised.value).reason == "TASK_NOT_FOUND"


async def test_progress_reaches_a_watcher_without_a_version(
    running: Running, worker: Worker
) -> None:
    task_id = await running.submitted()
    held = await worker.claim(task_id)
    watcher = Watcher(running, task_id)
    assert (await watcher.next()).task.version == 2
    worker.progress(held, 0.5)
    update = (await watcher.next()).progress
    assert (update.id, update.attempt, update.progress.fraction) == (task_id, 1, 0.5)
    watcher.call.cancel()


async def test_a_drain_tells_watchers_to_come_back(running: Running) -> None:
    watcher = Watcher(running, await running.submitted())
    await watcher.next()
    drain = asyncio.create_task(running.gateway.drain(timedelta(seconds=5)))
    assert (await watcher.next()).closed.reason == Closed.REASON_SERVER_DRAINING
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await watcher.next()
    refused = Refusal(raised.value)
    assert refused.code is grpc.StatusCode.UNAVAILABLE
    assert refused.reason == "SERVER_DRAINING"
    assert refused.retry_s > 0
    await drain


async def test_a_wait_that_times_out_is_ok(running: Running) -> None:
    request = pb.WaitTaskRequest(id=await running.submitted())
    request.timeout.FromMilliseconds(50)
    answer = await running.tasks.WaitTask(request)
    assert answer.timed_out
    assert answer.task.state == task_pb2.TASK_STATE_QUEUED


async def test_a_wait_answers_before_the_callers_deadline(
    running: Running, almost_late: float
) -> None:
    request = pb.WaitTaskRequest(id=await running.submitted())
    assert (await running.tasks.WaitTask(request, timeout=almost_late)).timed_out


async def test_a_wait_returns_the_end(running: Running, worker: Worker) -> None:
    task_id = await running.submitted()
    wait = asyncio.ensure_future(running.tasks.WaitTask(pb.WaitTaskRequest(id=task_id)))
    held = await worker.claim(task_id)
    await worker.succeed(held, running.message("acme.v1.ShrinkResponse", url="small"))
    answer = await wait
    assert not answer.timed_out
    assert answer.task.result.value == b"\n\x05small"


async def test_too_many_watches_are_refused_in_words(running: Running) -> None:
    running.gateway._admission._limits["watch"] = 1  # type: ignore[index]  # a StrEnum's key
    watcher = Watcher(running, task_id := await running.submitted())
    await watcher.next()
    refused = await refusal(running.tasks.WaitTask(pb.WaitTaskRequest(id=task_id), timeout=20))
    assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refused.reason == "TOO_MANY_WATCHES"
    assert refused.retry_s > 0
    assert await running.submitted()
    watcher.call.cancel()


class Deaf(EmbeddedFeed):
    """A feed whose doorbells never ring."""

    async def subscribe(self, task_id: bytes) -> None:
        await super().subscribe(task_id)
        self.unsubscribe(task_id)


class Slow(EmbeddedFeed):
    """A feed that does not acknowledge a subscription before a test says so."""

    acknowledge: asyncio.Event

    async def subscribe(self, task_id: bytes) -> None:
        await self.acknowledge.wait()
        await super().subscribe(task_id)


class Desk:
    """The watch use case by itself, with a list of what it sent."""

    def __init__(self, foundation: Foundation, *, feed: type[EmbeddedFeed], poll_s: float) -> None:
        database = foundation.database
        self.store = GatewayStore(database, foundation.writer, foundation.reader, ttl_us=None)
        self.hub = WatchHub(self.store, silence_s=poll_s, poll_s=poll_s)
        self.feed = feed(foundation.bus, on_ring=self.hub.ring, on_resync=self.hub.resync)
        self.watching = Watching(self.hub, GroupReader(self.store), self.store.ended)
        self.sent: asyncio.Queue[Event] = asyncio.Queue()
        self._watch: asyncio.Task[None] | None = None

    async def watch(
        self,
        task_id: str,
        *,
        heartbeat_s: float = 10,
        after_version: int = 0,
        view: View = View.OUTCOME,
    ) -> None:
        await self.feed.start()
        self.hub.start(self.feed)
        self._watch = asyncio.create_task(
            self.watching.watch(
                from_text(task_id),
                self.sent.put,
                owner="dev",
                after_version=after_version,
                view=view,
                heartbeat=timedelta(seconds=heartbeat_s),
            )
        )

    async def next(self) -> Event:
        try:
            async with asyncio.timeout(5):
                return await self.sent.get()
        except TimeoutError:
            raise AssertionError("nothing was sent for 5 s") from None

    async def end(self) -> None:
        assert self._watch is not None
        await self._watch

    async def close(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait({self._watch})
        await self.hub.close()
        await self.feed.close()


@pytest.fixture
async def deaf(foundation: Foundation, running: Running) -> AsyncIterator[Desk]:
    desk = Desk(foundation, feed=Deaf, poll_s=0.02)
    yield desk
    await desk.close()


@pytest.fixture
async def desk(foundation: Foundation, running: Running) -> AsyncIterator[Desk]:
    made = Desk(foundation, feed=EmbeddedFeed, poll_s=60)
    yield made
    await made.close()


async def test_a_lost_doorbell_is_made_up_for_by_the_safety_poll(
    deaf: Desk, running: Running, worker: Worker
) -> None:
    await deaf.watch(task_id := await running.submitted())
    first = await deaf.next()
    assert isinstance(first, Task)
    held = await worker.claim(task_id)
    await worker.succeed(held, running.message("acme.v1.ShrinkResponse", url="small"))
    versions = [first.version]
    while not isinstance(event := await deaf.next(), End):
        assert isinstance(event, Task)
        versions.append(event.version)
    assert event is End.TERMINAL
    assert versions == sorted(set(versions))
    assert versions[-1] == 3


async def test_a_task_that_is_committed_while_it_is_looked_for_is_not_taken_for_deleted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking, answer = asyncio.Event(), asyncio.Event()

    async def nothing_yet(_ids: object, _view: object) -> dict[bytes, Task]:
        looking.set()
        await answer.wait()
        return {}

    monkeypatch.setattr(desk.store, "tasks", nothing_yet)
    await desk.feed.start()
    desk.hub.start(desk.feed)
    async with desk.hub.watch(new_id(), terminal_only=True) as slot:
        desk.hub.resync()
        await looking.wait()
        slot.start_after(1)
        answer.set()
        assert await slot.take(0.1) is None
        # Whoever knew the task before it was looked for is told.
        desk.hub.resync()
        assert await slot.take(5) is End.DELETED


async def test_a_watch_does_not_read_before_it_is_subscribed(
    foundation: Foundation, running: Running, worker: Worker
) -> None:
    slow = Desk(foundation, feed=Slow, poll_s=60)
    assert isinstance(slow.feed, Slow)
    slow.feed.acknowledge = asyncio.Event()
    await slow.watch(task_id := await running.submitted())
    held = await worker.claim(task_id)
    await worker.succeed(held, running.message("acme.v1.ShrinkResponse", url="small"))
    slow.feed.acknowledge.set()
    first = await slow.next()
    assert isinstance(first, Task)
    assert first.version == 3, "it was read before the doorbells could be heard"
    assert await slow.next() is End.TERMINAL
    await slow.close()


async def test_when_the_feed_is_back_every_watched_task_is_looked_at(
    foundation: Foundation, running: Running, worker: Worker
) -> None:
    cut_off = Desk(foundation, feed=Deaf, poll_s=60)
    await cut_off.watch(task_id := await running.submitted())
    assert isinstance(await cut_off.next(), Task)
    held = await worker.claim(task_id)
    await worker.succeed(held, running.message("acme.v1.ShrinkResponse", url="small"))
    cut_off.hub.resync()
    last = await cut_off.next()
    assert isinstance(last, Task)
    assert last.version == 3
    assert await cut_off.next() is End.TERMINAL
    await cut_off.close()


async def test_a_silent_watch_sends_heartbeats(desk: Desk, running: Running) -> None:
    await desk.watch(await running.submitted(), heartbeat_s=0.02)
    assert isinstance(await desk.next(), Task)
    assert isinstance(await desk.next(), Heartbeat)
    assert isinstance(await desk.next(), Heartbeat)


async def test_a_watch_that_goes_on_says_at_once_what_the_task_waits_for_and_reads_once(
    desk: Desk, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = counted_reads(desk, monkeypatch)
    await desk.watch(await running.submitted(), after_version=1)
    beat = await desk.next()
    assert isinstance(beat, Heartbeat)
    assert beat.task is not None
    assert beat.task.state is State.QUEUED
    assert len(reads) == 1


async def test_a_doorbell_for_what_all_watchers_have_seen_costs_no_read(
    desk: Desk, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = from_text(await running.submitted())
    await desk.feed.start()
    desk.hub.start(desk.feed)
    reads = counted_reads(desk, monkeypatch)
    async with desk.hub.watch(task_id) as slot:
        slot.start_after(1)
        desk.hub.ring(Ring(task_id, 1, State.QUEUED))
        await asyncio.sleep(0.05)
        assert not reads
        desk.hub.ring(Ring(task_id, 2, State.RUNNING))
        await eventually_async(lambda: reads == [[task_id]])


async def test_a_doorbell_that_brings_its_task_along_costs_no_read(
    desk: Desk, running: Running, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = await running.submitted()
    await desk.feed.start()
    desk.hub.start(desk.feed)
    reads = counted_reads(desk, monkeypatch)
    async with desk.hub.watch(from_text(task_id)) as slot:
        slot.start_after(1)
        claimed = await worker.claim(task_id)
        begun = await slot.take(5)
        await worker.succeed(claimed, running.message("acme.v1.ShrinkResponse"))
        ended = await slot.take(5)
    assert isinstance(begun, Task)
    assert isinstance(ended, Task)
    assert (begun.version, begun.state) == (2, State.RUNNING)
    assert (ended.version, ended.state) == (3, State.SUCCEEDED)
    assert begun.input is ended.input is None
    assert ended.result is not None
    assert not reads


async def test_a_full_view_that_is_newer_than_its_doorbell_is_sent_once(
    desk: Desk, running: Running, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = await running.submitted()
    await desk.watch(task_id, view=View.FULL)
    assert isinstance(await desk.next(), Task)
    really = desk.watching._tasks.find
    claimed: asyncio.Future[Task] = asyncio.get_running_loop().create_future()

    async def ended_meanwhile(wanted: bytes, view: View) -> Task | None:
        await worker.succeed(await claimed, running.message("acme.v1.ShrinkResponse"))
        return await really(wanted, view)

    monkeypatch.setattr(desk.watching._tasks, "find", ended_meanwhile)
    claimed.set_result(await worker.claim(task_id))
    ended = await desk.next()
    assert isinstance(ended, Task)
    assert (ended.version, ended.state) == (3, State.SUCCEEDED)
    assert await desk.next() is End.TERMINAL
    assert desk.sent.empty()


def counted_reads(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> list[Sequence[bytes]]:
    """The ids of every read that the desk's store is asked for from now on."""
    reads: list[Sequence[bytes]] = []
    really = desk.store.tasks

    async def tasks(ids: Sequence[bytes], view: View) -> Mapping[bytes, Task]:
        reads.append(ids)
        return await really(ids, view)

    monkeypatch.setattr(desk.store, "tasks", tasks)
    return reads


async def test_a_slow_watcher_gets_the_newest_state_only(
    desk: Desk, running: Running, worker: Worker
) -> None:
    task_id = await running.submitted()
    await desk.feed.start()
    desk.hub.start(desk.feed)
    async with desk.hub.watch(from_text(task_id)) as slot:
        slot.start_after(1)
        held = await worker.claim(task_id)
        worker.progress(held, 0.1)
        worker.progress(held, 0.2)
        await worker.succeed(held, running.message("acme.v1.ShrinkResponse", url="small"))
        await eventually_async(lambda: slot.seen == 3)
        newest = await slot.take(1)
        assert isinstance(newest, Task)
        assert newest.version == 3
        progress = await slot.take(1)
        assert isinstance(progress, ProgressRing)
        assert progress.progress.fraction == 0.2
        assert await slot.take(0.01) is None


async def test_a_deleted_task_ends_its_watch(
    deaf: Desk, running: Running, foundation: Foundation
) -> None:
    task_id = await running.submitted()
    await deaf.watch(task_id)
    await deaf.next()
    with foundation.database.transaction() as transaction:
        transaction.connection.exec_driver_sql(
            "DELETE FROM tasks WHERE id = ?", (from_text(task_id),)
        )
    assert await deaf.next() is End.DELETED
    await deaf.end()


async def test_an_old_watch_is_rotated(desk: Desk, running: Running) -> None:
    desk.watching._max_age_s = 0.02
    await desk.watch(await running.submitted())
    await desk.next()
    assert await desk.next() is End.MAX_AGE
    with pytest.raises(RequestError) as raised:
        await desk.end()
    assert raised.value.retry_after is not None


async def test_no_watcher_leaves_anything_behind(running: Running) -> None:
    task_id = await running.submitted()
    watcher = Watcher(running, task_id)
    await watcher.next()
    assert running.gateway._hub.watchers == 1
    watcher.call.cancel()
    await eventually_async(lambda: not running.gateway._hub.watchers)
