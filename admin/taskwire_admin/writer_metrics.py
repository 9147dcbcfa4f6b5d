"""The group commits of one writer."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_ITEMS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class WriterMetrics:
    """`committed` is called by the writer's thread, once a group."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._items = Histogram(
            "taskwire_writer_group_items",
            "How many writes share a transaction.",
            buckets=_ITEMS,
            registry=registry,
        )
        self._seconds = Histogram(
            "taskwire_writer_commit_seconds",
            "How long a transaction takes, its wait for the writers' turn included.",
            buckets=SECONDS,
            registry=registry,
        )
        self._failures = Counter(
            "taskwire_writer_failures",
            "Transactions that were rolled back, or that the store did not take.",
            registry=registry,
        )

    def committed(self, items: int, seconds: float, failed: bool) -> None:
        """A transaction of `items` writes has ended, one way or the other."""
        if failed:
            self._failures.inc()
            return
        self._items.observe(items)
        self._seconds.observe(seconds)

    def watch(self, pending: Callable[[], int]) -> None:
        """Shows how many writes wait, by asking."""
        Gauge(
            "taskwire_writer_pending",
            "Writes that wait for a transaction.",
            registry=self._registry,
        ).set_function(pending)
