"""Metrics as Prometheus scrapes them, and as one process hands them to another."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector


def families(registry: CollectorRegistry) -> list[Metric]:
    """All of the registry, without the times at which its counters were made: they would double
    everything, and nobody asks for them."""
    found = list(registry.collect())
    for family in found:
        family.samples = [s for s in family.samples if not s.name.endswith("_created")]
    return found


def exposition(registry: CollectorRegistry) -> str:
    """The body of /metrics, in the text format 0.0.4."""
    return generate_latest(_Families(registry)).decode()


class _Families(Collector):
    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        yield from families(self._registry)
