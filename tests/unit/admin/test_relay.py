"""The metrics of several processes as those of one."""

from __future__ import annotations

import pickle

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from taskwire_admin.exposition import exposition, families
from taskwire_admin.relay import Relay
from tests.support.admin import Numbers, read


class Process:
    """One that counts, and hands over what it has counted through a pipe."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.done = Counter("done", "Done.", ("type",), registry=self.registry)
        self.busy = Gauge("busy", "Busy.", registry=self.registry)
        self.seconds = Histogram("seconds", "Long.", buckets=(1, 5), registry=self.registry)

    def tell(self, relay: Relay, name: bytes) -> None:
        relay.heard(name, pickle.loads(pickle.dumps(families(self.registry))))


def sums(relay: Relay) -> Numbers:
    registry = CollectorRegistry()
    registry.register(relay)
    return read(registry)


def test_processes_are_added_up_label_by_label() -> None:
    relay, one, other = Relay(), Process(), Process()
    one.done.labels("a").inc(2)
    other.done.labels("a").inc(3)
    other.done.labels("b").inc()
    one.busy.set(1)
    other.busy.set(4)
    one.seconds.observe(0.5)
    other.seconds.observe(3)
    one.tell(relay, b"1")
    other.tell(relay, b"2")
    found = sums(relay)
    assert found.by("done_total", "type") == {"a": 5, "b": 1}
    assert found.sum("busy") == 5
    assert found.by("seconds_bucket", "le") == {"1.0": 1, "5.0": 2, "+Inf": 2}
    assert found.sum("seconds_sum") == 3.5


def test_what_is_told_again_is_not_added_again() -> None:
    relay, one = Relay(), Process()
    for _ in range(3):
        one.done.labels("a").inc()
        one.tell(relay, b"1")
    assert sums(relay).sum("done_total") == 3


def test_what_a_process_had_counted_stays_and_what_it_held_does_not() -> None:
    relay, one, successor = Relay(), Process(), Process()
    one.done.labels("a").inc(2)
    one.busy.set(7)
    one.seconds.observe(0.5)
    one.tell(relay, b"1")
    relay.gone(b"1")
    assert sums(relay).sum("done_total") == 2
    assert sums(relay).sum("busy") == 0
    successor.done.labels("a").inc()
    successor.tell(relay, b"2")
    relay.gone(b"2")
    assert sums(relay).sum("done_total") == 3
    assert sums(relay).sum("seconds_count") == 1


def test_a_process_that_never_spoke_may_go() -> None:
    relay = Relay()
    relay.gone(b"1")
    assert sums(relay).names == set()


def test_a_histogram_s_buckets_stay_in_their_order() -> None:
    relay, one, other = Relay(), Process(), Process()
    one.seconds.observe(0.5)
    one.tell(relay, b"1")
    relay.gone(b"1")
    other.tell(relay, b"2")
    registry = CollectorRegistry()
    registry.register(relay)
    body = exposition(registry)
    assert [line.partition(" ")[0] for line in body.splitlines() if line[0] != "#"] == [
        'seconds_bucket{le="1.0"}',
        'seconds_bucket{le="5.0"}',
        'seconds_bucket{le="+Inf"}',
        "seconds_count",
        "seconds_sum",
        "busy",
    ]


def test_the_times_of_making_are_left_out() -> None:
    one = Process()
    one.done.labels("a").inc()
    assert "_created" not in exposition(one.registry)
