"""Asking an admin port, as Prometheus and Periskop do."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from taskwire_admin.exposition import families


class Numbers:
    """The samples of one scrape."""

    def __init__(self, found: Iterable[Metric]) -> None:
        self._samples = [sample for family in found for sample in family.samples]

    def sum(self, name: str, **labels: str) -> float:
        """Of all samples of that name with these labels, whatever their others are."""
        return sum(
            sample.value
            for sample in self._samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def by(self, name: str, label: str) -> dict[str, float]:
        """The same for each value of a label."""
        values = {sample.labels[label] for sample in self._samples if sample.name == name}
        return {value: self.sum(name, **{label: value}) for value in values}

    @property
    def names(self) -> set[str]:
        """Of all samples."""
        return {sample.name for sample in self._samples}


def get(address: str, path: str) -> tuple[int, str]:
    """Status and body; the status is 0 when nobody answers (yet)."""
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except ConnectionError as error:
        return 0, str(error)
    finally:
        connection.close()


def scraped(address: str) -> Numbers:
    """What Prometheus would read there now."""
    status, body = get(address, "/metrics")
    assert status == 200, body
    return Numbers(text_string_to_metric_families(body))


def read(registry: CollectorRegistry) -> Numbers:
    """The same, of a registry in this process."""
    return Numbers(families(registry))


def exceptions(address: str) -> list[dict[str, Any]]:
    """What Periskop would read there now."""
    status, body = get(address, "/-/exceptions")
    assert status == 200, body
    found: list[dict[str, Any]] = json.loads(body)["aggregated_errors"]
    return found
