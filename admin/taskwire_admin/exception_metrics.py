"""What every service's registry begins with: who it is, and how many exceptions it has seen."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from taskwire_admin.exception_book import ExceptionBook


class ExceptionMetrics(Collector):
    """Reads the book when it is scraped."""

    def __init__(self, book: ExceptionBook, service: str, version: str) -> None:
        self._book = book
        self._labels = (service, version)

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        build = GaugeMetricFamily(
            "taskwire_build_info", "1; its labels say what runs.", labels=("service", "version")
        )
        build.add_metric(self._labels, 1)
        yield build
        yield CounterMetricFamily(
            "taskwire_exceptions", "Exceptions at /-/exceptions.", value=self._book.total
        )
        yield CounterMetricFamily(
            "taskwire_exceptions_forgotten",
            "Kinds of exceptions that made room for newer ones.",
            value=self._book.evicted,
        )
