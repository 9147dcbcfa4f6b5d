"""Doorbells, snapshots and cancels, the same over Redis and in memory; then Redis' own faults."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Protocol

import pytest
import redis
from msgspec.structs import replace

from taskwire_core.failure import Code, Failure, FailureKind
from taskwire_core.lifecycle import State
from taskwire_core.task import (
    AnyRing,
    Attempt,
    Deleted,
    Payload,
    Progress,
    ProgressRing,
    Ring,
    Task,
)
from taskwire_db.feed.embedded import (
    EmbeddedAnnouncer,
    EmbeddedBus,
    EmbeddedCancelBell,
    EmbeddedFeed,
)
from taskwire_db.feed.ports import Announcer, CancelBell, Feed, OnCancel
from taskwire_db.feed.redis_announcer import RedisAnnouncer
from taskwire_db.feed.redis_bell import RedisCancelBell
from taskwire_db.feed.redis_feed import RedisFeed
from taskwire_db.feed.wire import Names
from tests.chaos.proxies import Proxies
from tests.support.eventually import eventually, eventually_async
from tests.support.failpoints import armed
from tests.support.servers import RedisServer
from tests.support.tasks import succeeded, task


class Heard:
    """What a feed has told its gateway."""

    def __init__(self) -> None:
        self.rings: list[AnyRing] = []
        self.resyncs = 0
        self.changes: list[Sequence[ProgressRing]] = []
        self.backlogs = 0
        self.wanted: set[bytes] = set()

    def at_least(self, count: int) -> bool:
        return len(self.rings) >= count

    def rang_for(self, task: Task) -> bool:
        """Whether a ring told of this version, with the task itself or without: news of many
        tasks come without."""
        version = (task.id, task.version, task.state)
        return any((ring.task_id, ring.version, ring.state) == version for ring in self._of_tasks())

    def _of_tasks(self) -> Iterator[Ring]:
        return (ring for ring in self.rings if isinstance(ring, Ring))

    def on_resync(self) -> None:
        self.resyncs += 1

    def on_backlog(self) -> None:
        self.backlogs += 1


class Side(Protocol):
    def announcer(self) -> Announcer: ...
    def feed(self, heard: Heard) -> Feed: ...
    def bell(self, worker_id: bytes, on_cancel: OnCancel) -> CancelBell: ...


class EmbeddedSide:
    def __init__(self) -> None:
        self.bus = EmbeddedBus()

    def announcer(self) -> Announcer:
        return EmbeddedAnnouncer(self.bus)

    def feed(self, heard: Heard) -> Feed:
        return EmbeddedFeed(
            self.bus,
            on_ring=heard.rings.append,
            on_resync=heard.on_resync,
            on_backlog=heard.on_backlog,
            on_changes=heard.changes.append,
            wanted=heard.wanted,
        )

    def bell(self, worker_id: bytes, on_cancel: OnCancel) -> CancelBell:
        return EmbeddedCancelBell(self.bus, worker_id, on_cancel=on_cancel)


class RedisSide:
    def __init__(self, url: str, deployment_id: bytes) -> None:
        self.url = url
        self.deployment_id = deployment_id

    def announcer(self) -> Announcer:
        return RedisAnnouncer(self.url, self.deployment_id)

    def feed(self, heard: Heard, *, quiet: float = 5, patience: float = 5) -> RedisFeed:
        return RedisFeed(
            self.url,
            self.deployment_id,
            on_ring=heard.rings.append,
            on_resync=heard.on_resync,
            on_backlog=heard.on_backlog,
            on_changes=heard.changes.append,
            wanted=heard.wanted,
            quiet=quiet,
            patience=patience,
        )

    def bell(self, worker_id: bytes, on_cancel: OnCancel) -> CancelBell:
        return RedisCancelBell(self.url, self.deployment_id, worker_id, on_cancel=on_cancel)


@pytest.fixture(params=["embedded", pytest.param("redis", marks=pytest.mark.servers)])
def side(request: pytest.FixtureRequest, deployment_id: bytes) -> Side:
    if request.param == "embedded":
        return EmbeddedSide()
    return RedisSide(request.getfixturevalue("redis_server").url, deployment_id)


@pytest.fixture
def announcer(side: Side) -> Iterator[Announcer]:
    made = side.announcer()
    yield made
    made.close(5)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
async def feed(side: Side, heard: Heard) -> AsyncIterator[Feed]:
    made = side.feed(heard)
    await made.start()
    if isinstance(made, RedisFeed):
        await eventually_async(lambda: made.listening)
    yield made
    await made.close()


async def remembered(feed: Feed, ids: Sequence[bytes]) -> dict[bytes, Task]:
    """The snapshots of `ids`, asked for again: a read that takes too long answers with none."""
    for _ in range(100):
        if found := await feed.snapshots(ids):
            break
        await asyncio.sleep(0.1)
    return found


def moves(of: Task, count: int) -> list[Task]:
    return [replace(of, version=of.version + i) for i in range(count)]


async def test_a_subscribed_task_rings_in_order(
    feed: Feed, announcer: Announcer, heard: Heard
) -> None:
    one = task(state=State.RUNNING)
    await feed.subscribe(one.id)

    for each in moves(one, 100):
        announcer.announce([each])

    await eventually_async(lambda: len(heard.rings) == 100)
    # Whether they bring the task along is for the size of their batch to say.
    assert [replace(ring, task=None) for ring in heard.rings if isinstance(ring, Ring)] == [
        Ring(one.id, each.version, one.state) for each in moves(one, 100)
    ]


async def test_tasks_that_its_gateway_wants_ring_without_a_subscription(
    feed: Feed, announcer: Announcer, heard: Heard
) -> None:
    one, other, last = (task(state=State.RUNNING) for _ in range(3))
    heard.wanted.add(one.id)
    announcer.announce([one, other])
    await eventually_async(lambda: heard.rings == [Ring(one.id, one.version, one.state, one)])

    heard.wanted.clear()
    await feed.subscribe(last.id)
    announcer.announce([one, last])
    await eventually_async(lambda: heard.at_least(2))
    assert heard.rings[1:] == [Ring(last.id, last.version, last.state, last)]


async def test_a_deleted_task_rings_a_last_time_and_its_snapshot_is_gone(
    feed: Feed, announcer: Announcer, heard: Heard
) -> None:
    one, other = succeeded(), succeeded()
    await feed.subscribe(one.id)
    announcer.announce([one, other])
    await eventually_async(lambda: len(heard.rings) == 1)
    assert await remembered(feed, [one.id])

    announcer.announce([Deleted(one.id)])

    await eventually_async(lambda: heard.rings[1:] == [Deleted(one.id)])
    assert (await remembered(feed, [one.id, other.id])).keys() == {other.id}


async def test_whoever_listens_to_all_hears_of_every_change_and_progress(
    feed: Feed, announcer: Announcer, heard: Heard
) -> None:
    ring = ProgressRing(task().id, 1, Progress(0.25, 1, 4, "a quarter", 5_000_000))
    announcer.announce([task()])
    await feed.listen()

    announcer.announce([])
    await eventually_async(lambda: heard.changes[:1] == [()])
    announcer.progress([ring])
    await eventually_async(lambda: [*heard.changes[-1]] == [ring])
    announcer.announce([Deleted(ring.task_id)])
    await eventually_async(lambda: [*heard.changes[-1]] == [])

    feed.unlisten()
    await feed.subscribe(one := task(state=State.RUNNING).id)
    count = len(heard.changes)
    announcer.announce([task(state=State.RUNNING, id=one)])
    await eventually_async(lambda: heard.at_least(1))
    assert len(heard.changes) == count


async def test_tasks_that_nobody_watches_do_not_ring(
    feed: Feed, announcer: Announcer, heard: Heard
) -> None:
    watched, other, left = task(), task(), task()
    await feed.subscribe(watched.id)
    await feed.subscribe(left.id)
    feed.unsubscribe(left.id)

    announcer.announce([other, left, watched])

    await eventually_async(lambda: heard.rings == [Ring(watched.id, 2, State.QUEUED)])


async def test_a_queued_task_rings_for_whoever_is_to_publish_it(
    feed: Feed, announcer: Announcer, heard: Heard
) -> None:
    if isinstance(feed, RedisFeed):
        await eventually_async(lambda: heard.resyncs == 1)

    announcer.announce([task(), succeeded()])
    await eventually_async(lambda: heard.backlogs == 1)

    announcer.announce([task(state=State.RUNNING), succeeded()])
    announcer.announce([task()])
    await eventually_async(lambda: heard.backlogs == 2)
    assert heard.rings == []


async def test_a_second_watcher_keeps_the_bell_when_the_first_leaves(
    feed: Feed, announcer: Announcer, heard: Heard
) -> None:
    one = task()
    await asyncio.gather(feed.subscribe(one.id), feed.subscribe(one.id))
    feed.unsubscribe(one.id)

    announcer.announce([one])

    await eventually_async(lambda: len(heard.rings) == 1)


async def test_leaving_and_coming_back_at_once_misses_nothing(
    feed: Feed, announcer: Announcer, heard: Heard
) -> None:
    one = task()
    for turn in range(50):
        await feed.subscribe(one.id)
        announcer.announce([replace(one, version=turn + 1)])
        expected = Ring(one.id, turn + 1, one.state)
        await eventually_async(partial(heard.rings.__contains__, expected))
        feed.unsubscribe(one.id)


async def test_a_subscribe_that_is_cancelled_leaves_nothing_behind(
    feed: Feed, announcer: Announcer, heard: Heard
) -> None:
    left, kept = task(), task()
    waiting = asyncio.ensure_future(feed.subscribe(left.id))
    await asyncio.sleep(0)
    if waiting.cancel():
        await asyncio.gather(waiting, return_exceptions=True)
    else:
        feed.unsubscribe(left.id)
    await feed.subscribe(kept.id)

    announcer.announce([left, kept])

    await eventually_async(lambda: heard.rings == [Ring(kept.id, 2, State.QUEUED)])


async def test_progress_rings_with_its_content(
    feed: Feed, announcer: Announcer, heard: Heard
) -> None:
    one = task(state=State.RUNNING)
    ring = ProgressRing(one.id, 1, Progress(0.25, 1, 4, "a quarter: ¼", 5_000_000))
    await feed.subscribe(one.id)

    announcer.progress([ring])

    await eventually_async(lambda: heard.rings == [ring])


async def test_an_ended_task_is_remembered_before_it_rings(
    feed: Feed, announcer: Announcer, heard: Heard
) -> None:
    failure = Failure(
        FailureKind.APPLICATION, Code.NOT_FOUND, "NO_SUCH_URL", "gone", stack_trace="secret"
    )
    ended = replace(
        succeeded(),
        failure=failure,
        labels={"team": "web"},
        input=Payload("acme.Request", b"in"),
        attempts=(Attempt(1, b"w" * 16, 1_000_000),),
    )
    await feed.subscribe(ended.id)

    announcer.announce([ended])
    await eventually_async(lambda: bool(heard.rings))

    expected = replace(ended, input=None, attempts=(), failure=replace(failure, stack_trace=""))
    assert await remembered(feed, [uuid.uuid4().bytes, ended.id]) == {ended.id: expected}


async def test_what_has_begun_or_ended_comes_along_as_its_watchers_may_see_it(
    feed: Feed, announcer: Announcer, heard: Heard
) -> None:
    failure = Failure(
        FailureKind.APPLICATION, Code.NOT_FOUND, "NO_SUCH_URL", "gone", stack_trace="secret"
    )
    begun = task(state=State.RUNNING, input=Payload("acme.Request", b"in"))
    failed = task(state=State.FAILED, failure=failure)
    without = [task(state=state) for state in (State.QUEUED, State.CANCELLING, State.RETRYING)]
    without.append(succeeded(b"x" * 300_000))
    for each in (begun, failed, *without):
        await feed.subscribe(each.id)

    announcer.announce([begun, failed, *without])
    await eventually_async(lambda: heard.at_least(6))

    assert [ring.task for ring in heard.rings if isinstance(ring, Ring)] == [
        replace(begun, input=None),
        replace(failed, failure=replace(failure, stack_trace="")),
        *[None] * 4,
    ]


async def test_only_ended_tasks_of_moderate_size_are_remembered(
    feed: Feed, announcer: Announcer, heard: Heard
) -> None:
    running, large = task(state=State.RUNNING), succeeded(b"x" * 300_000)
    await feed.subscribe(large.id)

    announcer.announce([running, large])
    await eventually_async(lambda: bool(heard.rings))

    assert await feed.snapshots([running.id, large.id]) == {}


async def test_a_cancel_rings_at_the_worker_that_runs_the_task(
    side: Side, announcer: Announcer
) -> None:
    worker, other = uuid.uuid4().bytes, uuid.uuid4().bytes
    cancelled: list[tuple[bytes, int]] = []
    strange: list[tuple[bytes, int]] = []
    bells = [
        side.bell(worker, lambda *cancel: cancelled.append(cancel)),
        side.bell(other, lambda *cancel: strange.append(cancel)),
    ]
    for bell in bells:
        bell.start()
        if isinstance(bell, RedisCancelBell):
            assert bell.wait_until_listening(10)
    one = task(state=State.CANCELLING, attempt=2, worker_id=worker)

    announcer.announce([replace(one, state=State.RUNNING), one, task(state=State.CANCELLED)])

    await eventually_async(lambda: cancelled == [(one.id, 2)])
    assert strange == []
    for bell in bells:
        bell.close(5)


async def test_a_closed_feed_lets_waiting_callers_go(side: Side, heard: Heard) -> None:
    feed = side.feed(heard)
    await feed.start()
    waiting = asyncio.gather(*(feed.subscribe(uuid.uuid4().bytes) for _ in range(100)))
    await feed.close()
    await asyncio.wait_for(waiting, 5)


# -- Redis alone ------------------------------------------------------------------------------


@pytest.mark.servers
def test_a_snapshot_lives_no_longer_than_its_result(
    redis_server: RedisServer, deployment_id: bytes
) -> None:
    announcer = RedisAnnouncer(redis_server.url, deployment_id)
    short, long = succeeded(result_ttl=timedelta(minutes=1)), succeeded()
    announcer.announce([short, long])
    announcer.close(5)
    names, client = Names(deployment_id), redis.Redis.from_url(redis_server.url)

    assert 50_000 < client.pttl(names.snapshot_key(short.id)) <= 60_000
    assert 3_500_000 < client.pttl(names.snapshot_key(long.id)) <= 3_600_000
    client.close()


@pytest.mark.servers
async def test_a_defect_costs_its_announcements_and_not_those_that_follow(
    redis_server: RedisServer, deployment_id: bytes, heard: Heard
) -> None:
    side = RedisSide(redis_server.url, deployment_id)
    feed, announcer = side.feed(heard), side.announcer()
    await feed.start()
    await feed.subscribe((after := succeeded()).id)
    with armed("feed.taken:error"):
        announcer.announce([succeeded()])

        def rings() -> bool:
            announcer.announce([after])
            return Ring(after.id, 3, State.SUCCEEDED, after) in heard.rings

        await eventually_async(rings)
    await feed.close()
    announcer.close(5)


@pytest.mark.servers
async def test_a_killed_redis_costs_little_and_everything_returns_with_it(
    killable_redis: RedisServer, deployment_id: bytes, heard: Heard
) -> None:
    side = RedisSide(killable_redis.url, deployment_id)
    feed, announcer = side.feed(heard), side.announcer()
    await feed.start()
    await eventually_async(lambda: heard.resyncs == 1)
    before, during = succeeded(), succeeded()
    await feed.subscribe(before.id)

    killable_redis.kill()
    await eventually_async(lambda: not feed.listening)
    started = time.monotonic()
    await feed.subscribe(during.id)
    assert await feed.snapshots([before.id]) == {}
    assert await feed.snapshots([before.id]) == {}
    for _ in range(1000):
        announcer.announce([during])
    assert time.monotonic() - started < 20, "nobody waits for a Redis that is away"

    killable_redis.start()
    await eventually_async(lambda: heard.resyncs >= 2)
    announcer.announce([before])
    await eventually_async(lambda: heard.rang_for(before))
    # What was announced meanwhile may have rung before the feed was back to hear it: that is
    # what the resync is for.
    announcer.announce([during])
    await eventually_async(lambda: heard.rang_for(during))
    await feed.close()
    announcer.close(5)


@pytest.mark.servers
async def test_a_half_open_connection_is_noticed_and_replaced(
    redis_server: RedisServer, proxies: Proxies, deployment_id: bytes, heard: Heard
) -> None:
    proxy = proxies.before(redis_server.port)
    through = RedisSide(f"redis://127.0.0.1:{proxy.port}/0", deployment_id)
    feed = through.feed(heard, quiet=0.3, patience=0.3)
    announcer = RedisSide(redis_server.url, deployment_id).announcer()
    await feed.start()
    await eventually_async(lambda: heard.resyncs == 1)
    one = task()
    await feed.subscribe(one.id)

    proxy.blackhole()
    await eventually_async(lambda: not feed.listening, within=30)
    late = asyncio.ensure_future(feed.subscribe(task().id))
    await asyncio.wait_for(late, 10)
    proxy.heal()

    await eventually_async(lambda: heard.resyncs >= 2)
    announcer.announce([one])
    await eventually_async(lambda: Ring(one.id, 2, State.QUEUED) in heard.rings)
    await feed.close()
    announcer.close(5)
    proxy.close()


@pytest.mark.servers
async def test_a_quiet_connection_that_answers_is_kept(
    redis_server: RedisServer, proxies: Proxies, deployment_id: bytes, heard: Heard
) -> None:
    proxy = proxies.before(redis_server.port)
    feed = RedisFeed(
        f"redis://127.0.0.1:{proxy.port}/0",
        deployment_id,
        on_ring=heard.rings.append,
        on_resync=heard.on_resync,
        quiet=0.05,
        patience=30,
    )
    await feed.start()
    await eventually_async(lambda: heard.resyncs == 1)
    accepted = proxy.accepted
    client = redis.Redis.from_url(redis_server.url)
    pings = int(client.info("commandstats").get("cmdstat_ping", {}).get("calls", 0))

    def pinged() -> bool:
        now = client.info("commandstats")["cmdstat_ping"]["calls"]
        return int(now) >= pings + 10

    await eventually_async(pinged)

    assert (heard.resyncs, proxy.accepted) == (1, accepted)
    await feed.close()
    client.close()
    proxy.close()


@pytest.mark.servers
async def test_ten_thousand_subscriptions_return_after_a_cut(
    redis_server: RedisServer, proxies: Proxies, deployment_id: bytes, heard: Heard
) -> None:
    proxy = proxies.before(redis_server.port)
    feed = RedisSide(f"redis://127.0.0.1:{proxy.port}/0", deployment_id).feed(heard)
    announcer = RedisSide(redis_server.url, deployment_id).announcer()
    await feed.start()
    await eventually_async(lambda: heard.resyncs == 1)
    many = [task() for _ in range(10_000)]
    await asyncio.gather(*(feed.subscribe(each.id) for each in many))

    proxy.cut()
    await eventually_async(lambda: heard.resyncs >= 2)
    for start in range(0, 10_000, 1000):
        announcer.announce(many[start : start + 1000])
        await eventually_async(partial(heard.at_least, start + 1000))

    assert {each.task_id for each in heard.rings} == {each.id for each in many}
    await feed.close()
    announcer.close(5)
    proxy.close()


@pytest.mark.servers
async def test_a_batch_that_takes_longer_than_a_timeout_arrives_all_the_same(
    redis_server: RedisServer, proxies: Proxies, deployment_id: bytes, heard: Heard
) -> None:
    proxy = proxies.before(redis_server.port)
    feed = RedisSide(redis_server.url, deployment_id).feed(heard)
    await feed.start()
    await eventually_async(lambda: heard.resyncs == 1)
    large = [succeeded(b"x" * 200_000) for _ in range(100)]
    await feed.subscribe(large[-1].id)

    # Two seconds and a half for all of it, a hundredth of one for each piece.
    proxy.slow(bytes_per_s=8_000_000)
    announcer = RedisSide(f"redis://127.0.0.1:{proxy.port}/0", deployment_id).announcer()
    announcer.announce(large)

    await eventually_async(lambda: heard.at_least(1), within=20)
    assert (await remembered(feed, [large[-1].id])).keys() == {large[-1].id}
    await feed.close()
    announcer.close(5)
    proxy.close()


@pytest.mark.servers
def test_an_announcer_that_is_closed_while_redis_is_away_ends_at_once(
    killable_redis: RedisServer, deployment_id: bytes
) -> None:
    announcer = RedisAnnouncer(killable_redis.url, deployment_id)
    killable_redis.kill()
    announcer.announce([task() for _ in range(20_000)])
    eventually(lambda: announcer.dropped > 0)

    started = time.monotonic()
    announcer.close(60)

    assert time.monotonic() - started < 30
