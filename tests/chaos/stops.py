"""Processes that stand still since a failpoint has stopped them, and the metrics of the others."""

from __future__ import annotations

import contextlib
import urllib.request
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.chaos.cluster import Cluster
from tests.support.eventually import eventually


def stopped(pid: int) -> bool:
    """Whether a process stands still by SIGSTOP."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    return False


def stopped_of(cluster: Cluster, name: str) -> list[int]:
    """The processes of a service that stand still."""
    return [pid for pid in cluster.pids(name, "all") if stopped(pid)]


def wait_until_stopped(cluster: Cluster, name: str, *, within: float = 60) -> None:
    """Return when a process of the service stands still."""
    eventually(lambda: stopped_of(cluster, name), within=within, what=f"{name} stands still")


def metric(cluster: Cluster, name: str, metric_name: str) -> float:
    """The sum of a metric's samples at a service, as it is now.

    Raises:
        OSError: the service does not answer.
    """
    address = f"http://127.0.0.1:{cluster.port(name, 'admin')}/metrics"
    with urllib.request.urlopen(address, timeout=5) as answer:
        text: str = answer.read().decode()
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == metric_name
    )
