"""The metrics of several processes as those of one: sums that never go back.

Each process hands over all that it has counted, again and again; nothing is lost with a
message. What a process had counted stays in the sums when it is gone, what it held does not.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

_GROWING = ("counter", "histogram", "summary")


class Relay(Collector):
    """Thread-safe; `heard` of each source, until it is `gone`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live: dict[bytes, Sequence[Metric]] = {}
        self._past: Sequence[Metric] = ()

    def heard(self, source: bytes, families: Sequence[Metric]) -> None:
        """All that `source` has counted so far, in place of what it had said before."""
        with self._lock:
            self._live[source] = families

    def gone(self, source: bytes) -> None:
        """`source` will say no more."""
        with self._lock:
            last = self._live.pop(source, ())
            counted = [family for family in last if family.type in _GROWING]
            self._past = list(_sum([*self._past, *counted]))

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        with self._lock:
            everything = [*self._past, *(f for found in self._live.values() for f in found)]
        yield from _sum(everything)


def _sum(families: Iterable[Metric]) -> Iterator[Metric]:
    by_name: dict[str, list[Metric]] = {}
    for family in families:
        by_name.setdefault(family.name, []).append(family)
    for name, some in by_name.items():
        total = Metric(name, some[0].documentation, some[0].type)
        for (sample, labels), value in _samples(some).items():
            total.add_sample(sample, dict(labels), value)
        yield total


def _samples(
    families: Sequence[Metric],
) -> Mapping[tuple[str, tuple[tuple[str, str], ...]], float]:
    # In the order in which they were first said: a histogram's buckets must stay together.
    found: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for family in families:
        for sample in family.samples:
            key = sample.name, tuple(sample.labels.items())
            found[key] = found.get(key, 0.0) + sample.value
    return found
