"""F14 and F15: Redis is away, has forgotten everything, or takes its time."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import redis

from tests.chaos.cluster import Shape
from tests.chaos.context import Chaos
from tests.chaos.records import Ok
from tests.chaos.rows.registry import row
from tests.support.eventually import eventually


def goes_on(chaos: Chaos) -> None:
    """A task is submitted, watched and cancelled, whatever is the matter with Redis."""
    task_id = chaos.submit("Work", 0.2)
    shown = [event.task.version for event in chaos.client.watch(task_id)]
    assert shown, "the watch has shown nothing"
    assert chaos.ended(task_id, within=90).state == "SUCCEEDED"
    running = chaos.submit("WorkAsync", 120)
    chaos.journal.begun(running, within=90)
    assert isinstance(chaos.client.cancel(running), Ok)
    assert chaos.ended(running, within=90).state == "CANCELLED"
    chaos.load.more(10)


@contextmanager
def flushed(chaos: Chaos) -> Iterator[None]:
    with redis.Redis.from_url(chaos.servers.redis.url) as client:
        assert client.dbsize() > 0, "there was nothing to forget"
        client.flushall()
    yield


@contextmanager
def restarted(chaos: Chaos) -> Iterator[None]:
    links = chaos.cluster.links(to="redis")
    before = links.accepted
    chaos.servers.redis.restart()
    yield
    eventually(lambda: links.accepted > before, within=30, what="somebody has connected again")


@contextmanager
def dead(chaos: Chaos) -> Iterator[None]:
    chaos.servers.redis.kill()
    try:
        yield
    finally:
        chaos.servers.redis.start()


@contextmanager
def paused(chaos: Chaos) -> Iterator[None]:
    pid = chaos.servers.redis.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def blackholed(chaos: Chaos) -> Iterator[None]:
    links = chaos.cluster.links(to="redis")
    assert links.connections > 0
    links.blackhole()
    try:
        yield
    finally:
        links.heal()


@row(
    "F14",
    "Redis is flushed, restarted, dead, paused and unreachable",
    needs_s=60,
    shape=Shape(workers=2),
    breaks=["redis"],
)
def redis_away(chaos: Chaos) -> None:
    chaos.load.more(20)
    ways = [flushed, restarted, dead, paused, blackholed]
    chaos.chance.shuffle(ways)
    for way in ways:
        with chaos.fault(way.__name__, "redis"), way(chaos):
            goes_on(chaos)
        chaos.load.more(10)


@row("F15", "Redis takes seconds for everything", needs_s=30)
def redis_slow(chaos: Chaos) -> None:
    chaos.load.more(10)
    links = chaos.cluster.links(to="redis")
    for delay_s in (0.5, 3.0):
        with chaos.fault(f"{delay_s:g} s late", "redis"):
            links.slow(delay_s, jitter_s=delay_s / 2)
            goes_on(chaos)
            links.heal()
