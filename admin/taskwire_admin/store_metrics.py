"""What the store holds, read when it is scraped and not more often than every few seconds.

Every gateway and keeper tells the same: dashboards take the greatest, not the sum.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from taskwire_core.errors import StoreUnavailable

FRESH_S = 5.0
MAX_SERIES = 500
"""Of types and queues with a state each: names of queues come from callers."""

OTHER = "other"


class StoreFigures(Protocol):
    """What was read."""

    @property
    def tasks(self) -> Mapping[tuple[str, str, str], int]:
        """(state, type, queue) → how many."""

    @property
    def workers(self) -> int:
        """Worker processes whose lease is alive."""

    @property
    def slots(self) -> int:
        """How many tasks those run at once."""

    @property
    def oldest_s(self) -> Mapping[str, float]:
        """How long the oldest due task of a queue has waited, by queue."""

    @property
    def bytes(self) -> int:
        """The size of the database, with its log."""

    @property
    def overdue_s(self) -> float:
        """For how long the oldest ended task should have been deleted."""


class StoreMetrics(Collector):
    """`read` raises StoreUnavailable when the store does not answer."""

    def __init__(
        self, read: Callable[[], StoreFigures], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._figures: StoreFigures | None = None
        self._read_at = float("-inf")

    def describe(self) -> Iterator[Metric]:
        """Nothing: the registry must not read the store to learn what there is."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        figures = self._fresh()
        yield GaugeMetricFamily(
            "taskwire_store_up", "1 when the store answers.", value=float(figures is not None)
        )
        if figures is None:
            return
        tasks = GaugeMetricFamily(
            "taskwire_store_tasks",
            "Tasks by state, type and queue, from the maintained counters.",
            labels=("state", "type", "queue"),
        )
        for labels, count in _bounded(figures.tasks).items():
            tasks.add_metric(labels, count)
        yield tasks
        oldest = GaugeMetricFamily(
            "taskwire_store_oldest_queued_seconds",
            "How long the oldest queued task of a queue has been due.",
            labels=("queue",),
        )
        for queue, seconds in figures.oldest_s.items():
            oldest.add_metric((queue,), seconds)
        yield oldest
        yield GaugeMetricFamily(
            "taskwire_store_workers", "Worker processes with a live lease.", value=figures.workers
        )
        yield GaugeMetricFamily(
            "taskwire_store_worker_slots",
            "How many tasks those workers run at once.",
            value=figures.slots,
        )
        yield GaugeMetricFamily(
            "taskwire_store_bytes",
            "Size of the database, its log included.",
            value=figures.bytes,
        )
        yield GaugeMetricFamily(
            "taskwire_store_deletion_overdue_seconds",
            "For how long the oldest ended task should have been deleted.",
            value=figures.overdue_s,
        )

    def _fresh(self) -> StoreFigures | None:
        with self._lock:
            if self._monotonic() - self._read_at > FRESH_S:
                try:
                    self._figures = self._read()
                except StoreUnavailable:
                    self._figures = None
                self._read_at = self._monotonic()
            return self._figures


def _bounded(tasks: Mapping[tuple[str, str, str], int]) -> Mapping[tuple[str, str, str], int]:
    if len(tasks) <= MAX_SERIES:
        return tasks
    by_count = sorted(tasks, key=lambda labels: tasks[labels], reverse=True)
    found = Counter({labels: tasks[labels] for labels in by_count[:MAX_SERIES]})
    for state, type_, queue in by_count[MAX_SERIES:]:
        found[state, OTHER, OTHER] += tasks[state, type_, queue]
    return found
