"""What the supervisor knows of its worker processes, and the sums of what they count."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from taskwire_worker.post import Phase, Post


class SupervisorState(Collector):
    """Reads the posts when it is scraped; `last_beat` is a monotonic time."""

    def __init__(
        self, posts: Sequence[Post], *, last_beat: Callable[[], float], spool: Path
    ) -> None:
        self._posts = posts
        self._last_beat = last_beat
        self._spool = spool

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        processes = GaugeMetricFamily(
            "taskwire_worker_processes", "Places of worker processes, by phase.", labels=("phase",)
        )
        for phase in Phase:
            count = sum(post.phase is phase for post in self._posts)
            processes.add_metric((phase.name.lower(),), count)
        yield processes
        yield CounterMetricFamily(
            "taskwire_worker_process_deaths",
            "Worker processes that did not end in order.",
            value=sum(post.deaths for post in self._posts),
        )
        yield GaugeMetricFamily(
            "taskwire_worker_lease_age_seconds",
            "Since the last heartbeat that the store answered.",
            value=time.monotonic() - self._last_beat(),
        )
        yield GaugeMetricFamily(
            "taskwire_worker_spool_files",
            "Files of outcomes that could not be written, for the next start.",
            value=sum(1 for _ in self._spool.glob("*.settlements")),
        )
