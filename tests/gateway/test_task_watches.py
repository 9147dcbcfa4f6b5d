"""WatchTasks: the rules of a watch of many tasks, over the real store and the embedded feed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import timedelta

import grpc
import pytest

from taskwire.v1 import task_pb2
from taskwire.v1 import task_service_pb2 as pb
from taskwire_contracts import Contracts
from taskwire_contracts.validation import Rules
from taskwire_core.changes import Cursor
from taskwire_core.errors import RequestError
from taskwire_core.ids import from_text, to_text
from taskwire_core.lifecycle import State
from taskwire_core.task import Task, View
from taskwire_db import operations as ops
from taskwire_db.feed.embedded import EmbeddedFeed
from taskwire_db.operations import retention
from taskwire_gateway.adapters.task_changes import TaskChangeStore
from taskwire_gateway.embedded import Foundation, surroundings
from taskwire_gateway.gateway import Gateway, Tuning
from taskwire_gateway.watch import watched_set, watching_many
from taskwire_gateway.watch.change_hub import ChangeHub
from taskwire_gateway.watch.many import Event, Place, Synced, Wish
from taskwire_gateway.watch.slot import End
from taskwire_gateway.watch.watching import Heartbeat
from taskwire_gateway.watch.watching_many import WatchingMany
from tests.gateway.conftest import LIMITS
from tests.gateway.replica import Replica
from tests.gateway.running import NOT_THERE, Refusal, Running, Worker, refusal
from tests.store.steps import new_task
from tests.support.eventually import eventually_async

UNKNOWN = "01a204aa-0000-7000-8000-000000000000"
RUNNING, QUEUED = task_pb2.TASK_STATE_RUNNING, task_pb2.TASK_STATE_QUEUED
Closed = pb.Closed


async def cancelled(running: Running, *task_ids: str) -> None:
    for task_id in task_ids:
        await running.tasks.CancelTask(pb.CancelTaskRequest(id=task_id))


async def delete(running: Running, task_id: str) -> None:
    await running.tasks.DeleteTask(pb.DeleteTaskRequest(id=task_id))


async def opened(running: Running, **request: object) -> Replica:
    """A watch that has synced."""
    replica = Replica(**request).open(running.tasks)
    await replica.until("synced")
    return replica


async def refused_watch(running: Running, **request: object) -> Refusal:
    return await refusal(Replica(**request).open(running.tasks).next())


async def test_a_watch_by_ids_sends_the_set_then_changes_and_closes_when_all_have_ended(
    running: Running, worker: Worker
) -> None:
    one, other = await running.submitted(), await running.submitted()
    await running.submitted()
    watch = await opened(running, ids=[one, other])
    assert watch.kinds() == ["task", "task", "synced"]
    assert {task.version for task in watch.tasks.values()} == {1}
    held = await worker.claim(one)
    assert (await watch.next()).task.state == RUNNING
    await worker.succeed(held, running.message("acme.v1.ShrinkResponse", url="small"))
    ended = (await watch.next()).task
    assert ended.state == task_pb2.TASK_STATE_SUCCEEDED
    assert ended.result.value == b"\n\x05small"
    await cancelled(running, other)
    last, closed = await watch.rest()
    assert (last.task.id, last.task.state) == (other, task_pb2.TASK_STATE_CANCELLED)
    assert closed.closed.reason == Closed.REASON_TERMINAL
    assert await watch.status() is grpc.StatusCode.OK


async def test_a_watch_of_ended_tasks_sends_them_and_closes(running: Running) -> None:
    ids = [await running.submitted(), await running.submitted()]
    await cancelled(running, *ids)
    watch = Replica(ids=ids).open(running.tasks)
    await watch.rest()
    assert watch.kinds() == ["task", "task", "synced", "closed"]
    assert watch.seen[-1].closed.reason == Closed.REASON_TERMINAL


async def test_a_filter_is_entered_and_left(running: Running, worker: Worker) -> None:
    task_id = await running.submitted()
    watch = await opened(running, filter="state = RUNNING")
    assert watch.kinds() == ["synced"]
    held = await worker.claim(task_id)
    entered = (await watch.next()).task
    assert (entered.id, entered.state) == (task_id, RUNNING)
    await worker.fail(held, NOT_THERE)
    left = (await watch.next()).removed
    assert (left.id, left.deleted) == (task_id, False)
    watch.leave()


async def test_what_never_matched_says_nothing(running: Running, worker: Worker) -> None:
    watch = await opened(running, filter='labels.team = "web"')
    other = await running.submitted()
    await worker.claim(other)
    await running.submitted(labels={"team": "web"})
    assert (await watch.next()).task.labels == {"team": "web"}
    await cancelled(running, await running.submitted(labels={"team": "web"}))
    await delete(running, await _ended(running))
    assert (await watch.until("task")).task.labels == {"team": "web"}
    assert "removed" not in watch.kinds()
    watch.leave()


async def _ended(running: Running) -> str:
    await cancelled(running, task_id := await running.submitted())
    return task_id


async def test_a_filter_over_errors_sees_what_a_failed_task_failed_of(
    running: Running, worker: Worker
) -> None:
    watch = await opened(running, filter='error.type = "acme.NoSuchPicture"')
    held = await worker.claim(await running.submitted())
    await worker.fail(held, NOT_THERE)
    found = (await watch.next()).task
    assert found.error.status.message == "There is no such picture."
    watch.leave()


async def test_everything_is_watched_without_ids_and_filter(
    running: Running, worker: Worker
) -> None:
    old = await running.submitted()
    watch = await opened(running)
    assert [*watch.tasks] == [old]
    new = await running.submitted()
    assert (await watch.next()).task.id == new
    await cancelled(running, new)
    assert (await watch.next()).task.state == task_pb2.TASK_STATE_CANCELLED
    await delete(running, new)
    removed = (await watch.next()).removed
    assert (removed.id, removed.deleted) == (new, True)
    watch.leave()


async def test_a_deleted_task_of_a_watch_by_ids_counts_as_ended(running: Running) -> None:
    one, other = await running.submitted(), await running.submitted()
    watch = await opened(running, ids=[one, other])
    await cancelled(running, one)
    await watch.next()
    await delete(running, one)
    removed = (await watch.next()).removed
    assert (removed.id, removed.deleted) == (one, True)
    await cancelled(running, other)
    await delete(running, other)
    assert (await watch.rest())[-1].closed.reason == Closed.REASON_TERMINAL


@pytest.mark.parametrize(
    ("view", "shown"),
    [
        (task_pb2.TASK_VIEW_BASIC, set()),
        (task_pb2.TASK_VIEW_UNSPECIFIED, {"result"}),
        (task_pb2.TASK_VIEW_FULL, {"result", "input"}),
    ],
)
async def test_the_view_says_how_much_is_shown(
    running: Running, worker: Worker, view: task_pb2.TaskView.ValueType, shown: set[str]
) -> None:
    watch = await opened(running, view=view)
    held = await worker.claim(await running.submitted())
    await worker.succeed(held, running.message("acme.v1.ShrinkResponse", url="small"))
    while (task := (await watch.until("task")).task).state != task_pb2.TASK_STATE_SUCCEEDED:
        pass
    assert {name for name in ("input", "result") if task.HasField(name)} == shown
    watch.leave()


async def test_progress_is_passed_on_for_tasks_that_are_shown(
    running: Running, worker: Worker
) -> None:
    held = await worker.claim(task_id := await running.submitted())
    hidden = await worker.claim(await running.submitted(labels={"team": "web"}))
    watch = await opened(running, ids=[task_id])
    worker.progress(hidden, 0.1)
    worker.progress(held, 0.5)
    update = (await watch.next()).progress
    assert (update.id, update.attempt, update.progress.fraction) == (task_id, 1, 0.5)
    watch.leave()


async def test_ids_that_are_nobodys_or_another_users_are_not_found(running: Running) -> None:
    mine, theirs = await running.submitted(), await running.submitted()
    with running.foundation.database.transaction() as transaction:
        transaction.connection.exec_driver_sql(
            "UPDATE tasks SET owner = 'ann' WHERE id = ?", (from_text(theirs),)
        )
    for missing in (UNKNOWN, theirs):
        refused = await refused_watch(running, ids=[mine, missing])
        assert refused.code is grpc.StatusCode.NOT_FOUND
        assert refused.reason == "TASK_NOT_FOUND"
        assert refused.resource == missing


async def test_nothing_of_another_user_is_shown(running: Running) -> None:
    watch = await opened(running)
    with running.foundation.database.transaction() as transaction:
        theirs = ops.submit(transaction, [_of_ann()])[0]
        assert isinstance(theirs, ops.UnitResult)
    running.foundation.announcer.announce([])
    mine = await running.submitted()
    assert (await watch.next()).task.id == mine
    assert [*watch.tasks] == [mine]
    watch.leave()


def _of_ann() -> ops.SubmitUnit:
    return ops.SubmitUnit((ops.Submission(new_task(owner="ann")),))


@pytest.mark.parametrize(
    ("request_", "reason", "field"),
    [
        ({"ids": [UNKNOWN], "filter": "state = RUNNING"}, "CONFLICTING_FIELDS", "filter"),
        ({"ids": ["seven"]}, "FIELD_VIOLATION", "ids[0]"),
        ({"ids": [UNKNOWN, UNKNOWN]}, "FIELD_VIOLATION", "ids"),
        ({"filter": "state = "}, "INVALID_FILTER", "filter"),
        ({"filter": "state = RUNNING" + " " * 4096}, "FIELD_VIOLATION", "filter"),
        ({"view": 17}, "FIELD_VIOLATION", "view"),
        ({"heartbeat_interval": {"seconds": 1}}, "FIELD_VIOLATION", "heartbeat_interval"),
        ({"resume_token": "nonsense"}, "INVALID_PAGE_TOKEN", "resume_token"),
        ({"resume_token": "x" * 4097}, "FIELD_VIOLATION", "resume_token"),
    ],
)
async def test_a_bad_request_is_refused_in_words(
    running: Running, request_: dict[str, object], reason: str, field: str
) -> None:
    refused = await refused_watch(running, **request_)
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (refused.reason, [*refused.violations]) == (reason, [field])
    assert refused.message


def test_a_thousand_ids_are_allowed_and_no_more() -> None:
    ids = [f"01a204aa-0000-7000-8000-{n:012x}" for n in range(1001)]
    assert not Rules().violations(pb.WatchTasksRequest(ids=ids[1:]))
    (found,) = Rules().violations(pb.WatchTasksRequest(ids=ids))
    assert found.field == "ids"


async def test_a_token_of_another_filter_is_refused(running: Running) -> None:
    watch = await opened(running, filter="state = RUNNING")
    token = watch.token
    watch.leave()
    for request in ({"filter": "state = QUEUED"}, {}, {"ids": [await running.submitted()]}):
        refused = await refused_watch(running, **request, resume_token=token)
        assert refused.reason == "INVALID_PAGE_TOKEN"
        assert "watch again without one" in refused.message


async def test_a_resumed_watch_sends_only_what_has_changed_since(
    running: Running, worker: Worker
) -> None:
    ids = [await running.submitted() for _ in range(4)]
    watch = await opened(running, ids=ids)
    await worker.claim(ids[0])
    await watch.next()
    watch.leave()
    await cancelled(running, ids[1])
    await delete(running, ids[1])
    await worker.claim(ids[2])
    before = len(watch.seen)
    watch.open(running.tasks)
    await watch.until("removed")
    await cancelled(running, ids[0], ids[2], ids[3])
    await watch.until("task")
    fresh = watch.seen[before:]
    assert fresh[0].HasField("heartbeat")
    assert {m.task.id for m in fresh if m.HasField("task")} <= {ids[0], ids[2], ids[3]}
    first = next(m.task for m in fresh if m.HasField("task"))
    assert first.id == ids[2]
    assert "synced" not in [m.WhichOneof("kind") for m in fresh]
    watch.leave()


async def test_a_resumed_watch_of_what_has_ended_meanwhile_misses_no_end(
    running: Running,
) -> None:
    ids = [await running.submitted() for _ in range(3)]
    watch = await opened(running, ids=ids)
    watch.leave()
    await cancelled(running, *ids)
    watch.open(running.tasks)
    await watch.rest()
    assert {task.state for task in watch.tasks.values()} == {task_pb2.TASK_STATE_CANCELLED}
    assert watch.seen[-1].closed.reason == Closed.REASON_TERMINAL


async def test_a_resumed_filter_removes_what_has_left_and_been_deleted_meanwhile(
    running: Running, worker: Worker
) -> None:
    ids = [await running.submitted() for _ in range(3)]
    held = [await worker.claim(task_id) for task_id in ids]
    watch = await opened(running, filter="state = RUNNING")
    assert watch.tasks.keys() == {*ids}
    watch.leave()
    await worker.fail(held[0], NOT_THERE)
    await delete(running, ids[0])
    await worker.fail(held[1], NOT_THERE)
    watch.open(running.tasks)
    await watch.until("removed")
    await watch.until("removed")
    assert watch.tasks.keys() == {ids[2]}
    # What the new stream was never told of is known all the same.
    await worker.fail(held[2], NOT_THERE)
    assert (await watch.until("removed")).removed.id == ids[2]
    watch.leave()


async def test_a_watch_that_was_cut_in_the_initial_set_goes_on_there(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched_set, "LISTED", 2)
    ids = sorted([await running.submitted() for _ in range(7)])
    watch = Replica().open(running.tasks)
    for _ in range(3):
        await watch.next()
    watch.leave()
    await cancelled(running, ids[1], ids[5])
    watch.open(running.tasks)
    await watch.until("synced")
    assert [m.task.id for m in watch.seen if m.HasField("task")] == ids
    await watch.next()
    assert watch.seen[-1].task.id == ids[1], "what changed after it was sent is sent again"
    watch.leave()


async def test_tasks_with_more_bytes_than_are_read_at_a_time_come_one_by_one(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched_set, "READ_BYTES", 1)
    monkeypatch.setattr(watching_many, "READ_BYTES", 1)
    ids = sorted([await running.submitted() for _ in range(4)])
    watch = await opened(running, view=task_pb2.TASK_VIEW_FULL)
    assert [m.task.id for m in watch.seen if m.HasField("task")] == ids
    await cancelled(running, *ids)
    while any(task.state != task_pb2.TASK_STATE_CANCELLED for task in watch.tasks.values()):
        await watch.next()
    assert all(task.HasField("input") for task in watch.tasks.values())
    watch.leave()


async def another_gateway(running: Running, contracts: Contracts) -> tuple[Gateway, int]:
    tuning = Tuning(limits=LIMITS)
    gateway = Gateway(surroundings(contracts, running.foundation), tuning)
    return gateway, await gateway.start("127.0.0.1:0")


async def test_another_gateway_takes_a_watch_on(running: Running, contracts: Contracts) -> None:
    ids = [await running.submitted() for _ in range(2)]
    watch = await opened(running, ids=ids)
    drain = asyncio.create_task(running.gateway.drain(timedelta(seconds=5)))
    assert (await watch.next()).closed.reason == Closed.REASON_SERVER_DRAINING
    refused = await refusal(watch.next())
    assert refused.code is grpc.StatusCode.UNAVAILABLE
    assert refused.reason == "SERVER_DRAINING"
    assert refused.retry_s > 0
    await drain
    other, port = await another_gateway(running, contracts)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        successor = Running(other, running.foundation, contracts, channel, "")
        watch.open(successor.tasks)
        await cancelled(successor, *ids)
        await watch.rest()
    await other.close()
    assert watch.seen[-1].closed.reason == Closed.REASON_TERMINAL
    assert {task.state for task in watch.tasks.values()} == {task_pb2.TASK_STATE_CANCELLED}


async def test_a_token_that_is_older_than_the_log_has_expired(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = await opened(running)
    watch.leave()
    for _ in range(2):  # The newest row of the log stays.
        await running.submitted()
    monkeypatch.setattr(retention, "CHANGES_KEPT_US", -1)
    running.foundation.database.execute(ops.prune_changes, 100)
    refused = await refusal(watch.open(running.tasks).until("task"))
    assert refused.code is grpc.StatusCode.OUT_OF_RANGE
    assert refused.reason == "RESUME_TOKEN_EXPIRED"
    assert "without one" in refused.message
    watch.open(running.tasks, fresh=True)
    await watch.until("synced")
    watch.leave()


async def test_no_watcher_leaves_anything_behind(running: Running) -> None:
    watch = await opened(running)
    assert running.gateway._change_hub.watchers == 1
    watch.leave()
    await eventually_async(lambda: not running.gateway._change_hub.watchers)


async def test_a_watch_in_pieces_is_a_true_copy(running: Running, worker: Worker) -> None:
    """Random work beside watches that are cut at random places, by two kinds of filters."""
    chance = random.Random(7)
    kinds = ("state = RUNNING OR state = FAILED", 'labels.team = "web"', "")
    copies = [Replica(filter=text).open(running.tasks) for text in kinds]

    async def follow(copy: Replica) -> None:
        while True:
            await copy.next()
            if chance.random() < 0.2:
                copy.leave()
                copy.open(running.tasks)

    followers = [asyncio.create_task(follow(copy)) for copy in copies]
    for _ in range(60):
        task_id = await running.submitted(labels={"team": chance.choice(["web", "app"])})
        if chance.random() < 0.7:
            held = await worker.claim(task_id)
            if chance.random() < 0.8:
                await worker.fail(held, NOT_THERE)
                if chance.random() < 0.5:
                    await delete(running, task_id)

    async def truth(text: str) -> dict[str, int]:
        request = pb.ListTasksRequest(filter=text, page_size=1000)
        page = await running.tasks.ListTasks(request)
        return {task.id: task.version for task in page.tasks}

    real = [await truth(text) for text in kinds]

    def all_true() -> bool:
        assert not any(follower.done() for follower in followers), followers
        return all(
            {t.id: t.version for t in copy.tasks.values()} == found
            for copy, found in zip(copies, real, strict=True)
        )

    await eventually_async(all_true, within=20)
    for follower in followers:
        follower.cancel()
    await asyncio.gather(*followers, return_exceptions=True)


class Deaf(EmbeddedFeed):
    """A feed that never rings."""

    async def listen(self) -> None:
        """Hear nothing."""

    def unlisten(self) -> None:
        """Hear nothing."""


class Desk:
    """The use case by itself, with a list of what it sent."""

    def __init__(
        self, foundation: Foundation, *, feed: type[EmbeddedFeed] = EmbeddedFeed, poll_s: float = 60
    ) -> None:
        self.hub = ChangeHub(TaskChangeStore(foundation.reader), poll_s=poll_s, gather_s=0)
        self.feed = feed(
            foundation.bus,
            on_ring=lambda ring: None,
            on_resync=self.hub.resync,
            on_changes=self.hub.heard,
        )
        self.reader = TaskChangeStore(foundation.reader)
        self.watching = WatchingMany(self.hub, self.reader, foundation.lists)
        self.sent: asyncio.Queue[Event] = asyncio.Queue()
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = False
        """Whether something was to be sent while the gate was shut."""
        self._watches: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        await self.feed.start()
        self.hub.start(self.feed)

    def watch(self, **wish: object) -> asyncio.Task[None]:
        made = Wish(owner="dev", **wish)  # type: ignore[arg-type]  # fields of a Wish
        self._watches.append(asyncio.create_task(self.watching.watch(made, self._send)))
        return self._watches[-1]

    async def _send(self, event: Event, place: Place) -> None:
        self.waiting = not self.gate.is_set()
        await self.gate.wait()
        await self.sent.put(event)

    async def next(self) -> Event:
        try:
            async with asyncio.timeout(5):
                return await self.sent.get()
        except TimeoutError:
            raise AssertionError("nothing was sent for 5 s") from None

    async def versions(self, count: int) -> list[tuple[str, int]]:
        """The next `count` events: ids and versions, or the event's name and 0."""
        found = [await self.next() for _ in range(count)]
        return [
            (to_text(event.id), event.version)
            if isinstance(event, Task)
            else (type(event).__name__, 0)
            for event in found
        ]

    async def close(self) -> None:
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        await self.hub.close()
        await self.feed.close()


@pytest.fixture
async def desk(foundation: Foundation, running: Running) -> AsyncIterator[Desk]:
    made = Desk(foundation)
    await made.start()
    yield made
    await made.close()


async def test_without_rings_the_log_is_looked_at(foundation: Foundation, running: Running) -> None:
    deaf = Desk(foundation, feed=Deaf, poll_s=0.02)
    await deaf.start()
    deaf.watch(ids=frozenset({from_text(task_id := await running.submitted())}))
    await deaf.next()
    assert isinstance(await deaf.next(), Synced)
    await cancelled(running, task_id)
    found = await deaf.next()
    assert isinstance(found, Task)
    assert found.state is State.CANCELLED
    assert await deaf.next() is End.TERMINAL
    await deaf.close()


async def test_when_the_feed_is_back_the_log_is_looked_at(
    foundation: Foundation, running: Running
) -> None:
    deaf = Desk(foundation, feed=Deaf)
    await deaf.start()
    deaf.watch()
    assert isinstance(await deaf.next(), Synced)
    # Once it has read the log for the first time it waits for a ring.
    await eventually_async(lambda: [read.done() for read in deaf.hub._pages.values()] == [True])
    task_id = await running.submitted()
    deaf.hub.resync()
    assert await deaf.versions(1) == [(task_id, 1)]
    await deaf.close()


async def test_what_changes_while_the_initial_set_is_sent_is_shown(
    desk: Desk, running: Running
) -> None:
    one, other = await running.submitted(), await running.submitted()
    desk.gate.clear()
    desk.watch()
    await eventually_async(lambda: desk.waiting)
    await cancelled(running, one)
    desk.gate.set()
    assert await desk.versions(4) == [(one, 1), (other, 1), ("Synced", 0), (one, 2)]


@pytest.mark.parametrize("view", [View.BASIC, View.OUTCOME], ids=["basic", "outcome"])
async def test_what_changed_before_the_initial_set_was_read_is_shown_once(
    desk: Desk, running: Running, monkeypatch: pytest.MonkeyPatch, view: View
) -> None:
    one, other = await running.submitted(), await running.submitted()
    head = desk.reader.head

    async def head_and_a_change() -> Cursor:
        place = await head()
        await cancelled(running, one)
        return place

    monkeypatch.setattr(desk.reader, "head", head_and_a_change)
    desk.watch(view=view)
    assert await desk.versions(3) == [(one, 2), (other, 1), ("Synced", 0)]
    await cancelled(running, other)
    assert await desk.versions(1) == [(other, 2)]


async def test_a_silent_watch_sends_heartbeats(desk: Desk) -> None:
    desk.watch(heartbeat=timedelta(milliseconds=20))
    events = [await desk.next() for _ in range(4)]
    assert sum(isinstance(event, Heartbeat) for event in events) == 3


async def test_an_old_watch_is_rotated(desk: Desk) -> None:
    desk.watching._max_age_s = 0.02
    watch = desk.watch()
    while isinstance(event := await desk.next(), Synced):
        pass
    assert event is End.MAX_AGE
    with pytest.raises(RequestError, match="too old") as raised:
        await watch
    assert raised.value.retry_after is not None


async def test_a_slow_reader_holds_up_nobody_and_gets_the_newest_states(
    desk: Desk, running: Running, worker: Worker
) -> None:
    desk.watch()
    assert isinstance(await desk.next(), Synced)
    desk.gate.clear()
    await running.submitted()
    await eventually_async(lambda: not desk.gate.is_set())
    held = [await worker.claim(await running.submitted()) for _ in range(20)]
    for task in held:
        await worker.fail(task, NOT_THERE)
    desk.gate.set()
    ended: dict[bytes, int] = {}
    while len(ended) < 20:
        event = await desk.next()
        assert isinstance(event, Task)
        if event.state is State.FAILED:
            ended[event.id] = event.version
    assert {task.id for task in held} == ended.keys()
    assert set(ended.values()) == {3}


async def test_the_log_is_read_once_for_all_who_are_at_one_place(
    desk: Desk, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(30):
        desk.watch()
    for _ in range(30):
        assert isinstance(await desk.next(), Synced)
    read = desk.reader.changes
    reads = 0

    async def counted(*args: object) -> object:
        nonlocal reads
        reads += 1
        return await read(*args)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(desk.hub._reader, "changes", counted)
    await running.submitted()
    for _ in range(30):
        await desk.next()
    assert 0 < reads < 10
