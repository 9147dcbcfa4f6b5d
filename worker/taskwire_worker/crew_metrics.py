"""What is read of a crew when it is asked."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from taskwire_worker.crew import Crew


class CrewState(Collector):
    """Reads a crew when it is asked; the supervisor adds up those of its processes."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        crew = self._crew
        numbers: tuple[tuple[str, str, float], ...] = (
            ("threads", "Threads that run attempts.", crew.threads),
            ("running", "Attempts in progress.", len(crew.held.running())),
            ("waiting", "Claimed tasks that wait for a thread.", crew.held.waiting),
            ("unclaimed", "Deliveries that are not claimed yet.", crew.unclaimed),
            ("settlements_pending", "Outcomes that are not written.", crew.settler.unwritten),
            ("isolated_children", "Processes of single handlers.", crew.isolated_children),
            ("taking_work", "Worker processes that take tasks.", crew.intake.is_open),
        )
        for name, text, value in numbers:
            yield GaugeMetricFamily(f"taskwire_worker_{name}", text, value=float(value))
        yield CounterMetricFamily(
            "taskwire_worker_settlements_fenced_out",
            "Outcomes that came too late: the attempt had been judged by others.",
            value=crew.settler.fenced_out,
        )
