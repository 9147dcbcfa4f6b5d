"""The end of a history: what is left when the faults are over and the load has ended.

Some of it takes a moment to be what it will stay: metrics are as old as 5 s, connections close
behind their calls, and messages that were sent twice are thrown away one by one. So what is not
right yet is looked at again for a while, and what it is then is written down.
"""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import TypeVar

from prometheus_client.parser import text_string_to_metric_families

from taskwire_db.database import Database
from tests.chaos.checking.residue import DEAD_LETTERS, TASKS_METRIC, too_much
from tests.chaos.cluster import Cluster
from tests.chaos.measuring import usage
from tests.chaos.recorder import Recorder
from tests.chaos.remains import Metric, Moment, Process, Queue, Scan
from tests.chaos.store_dump import counts, store_dump
from tests.support.servers import RabbitServer

SETTLES_WITHIN_S = 20.0
PAUSE_S = 0.5
STILL = 3
"""So many looks must be alike."""

Look = TypeVar("Look")


def measure(recorder: Recorder, cluster: Cluster, moment: Moment) -> None:
    """Write down what the living services use: before the load, and once more by `dump`.

    A worker says that it has started a moment before it has made its threads and connections, so
    we look until nothing has changed for a while.
    """
    looks: list[list[tuple[int, int, int]]] = []

    def still(found: list[Process]) -> bool:
        looks.append([(each.fds, each.threads, each.connections) for each in found])
        return len(looks) >= STILL and looks[-STILL:] == [looks[-1]] * STILL

    recorder.measured = _settled(lambda: _usages(cluster, moment), still)
    for process in recorder.measured:
        recorder.write(process)


def dump(recorder: Recorder, cluster: Cluster) -> None:
    """Write down everything that is left; the history is complete then."""
    with closing(Database(cluster.database_url, writable=False)) as database:
        for record in store_dump(database):
            recorder.write(record)
        there = counts(database)
        for process, address in _admin_addresses(cluster).items():
            for metric in _settled(
                lambda: _metrics(process, address),  # noqa: B023  # called before the next
                lambda metrics: _agree(there, metrics),
            ):
                recorder.write(metric)
        for queue in _queues(cluster.servers.rabbit, database.deployment_id):
            recorder.write(queue)
    for scan in _scans(recorder.canaries, cluster):
        recorder.write(scan)
    bases = {base.name: base for base in recorder.measured}
    for used in _settled(lambda: _usages(cluster, "after"), lambda now: _given_back(bases, now)):
        recorder.write(used)
    recorder.dumped()


def _settled(look: Callable[[], Look], right: Callable[[Look], bool]) -> Look:
    """What is found once it is right, or what it is after all the time that it has."""
    deadline = time.monotonic() + SETTLES_WITHIN_S
    while not right(found := look()) and time.monotonic() < deadline:
        time.sleep(PAUSE_S)
    return found


def _living(cluster: Cluster) -> list[str]:
    return [name for name in cluster.processes if cluster.alive(name)]


def _admin_addresses(cluster: Cluster) -> dict[str, str]:
    return {name: f"127.0.0.1:{cluster.port(name, 'admin')}" for name in _living(cluster)}


def _usages(cluster: Cluster, moment: Moment) -> list[Process]:
    return [
        used
        for name in _living(cluster)
        for used in usage(name, cluster.processes[name].pid, moment)
    ]


def _given_back(bases: Mapping[str, Process], after: list[Process]) -> bool:
    return not any(any(too_much(bases[e.name], e)) for e in after if e.name in bases)


def _metrics(process: str, address: str) -> list[Metric]:
    families = text_string_to_metric_families(_page(address, "/metrics"))
    return [
        Metric(process, sample.name, sample.value, dict(sample.labels))
        for family in families
        for sample in family.samples
        if sample.name.startswith("taskwire_") and "le" not in sample.labels
    ]


def _agree(there: Mapping[tuple[str, str], int], metrics: list[Metric]) -> bool:
    """Whether the numbers of tasks are those of the store; also where none are told."""
    shown: dict[tuple[str, str], int] = {}
    for metric in metrics:
        if metric.name == TASKS_METRIC and metric.value:
            key = (metric.labels["type"], metric.labels["state"])
            shown[key] = shown.get(key, 0) + int(metric.value)
    return not shown or shown == there


def _queues(rabbit: RabbitServer, deployment_id: bytes) -> list[Queue]:
    ending = f".{deployment_id[-4:].hex()}"

    def look() -> list[Queue]:
        columns = ("name", "messages_ready", "messages_unacknowledged")
        lines = [line.split("\t") for line in rabbit.ctl("list_queues", *columns).splitlines()]
        return [
            Queue(name, int(ready), int(unacknowledged))
            for name, ready, unacknowledged in lines
            if name.removesuffix(DEAD_LETTERS).endswith(ending)
        ]

    return _settled(
        look,
        lambda queues: (
            not any(
                queue.ready + queue.unacknowledged
                for queue in queues
                if not queue.name.endswith(DEAD_LETTERS)
            )
        ),
    )


def _scans(canaries: list[str], cluster: Cluster) -> Iterator[Scan]:
    """Every log and page, searched for the run's secrets."""
    for name in cluster.processes:
        yield _scan(f"the log of {name}", cluster.log(name), canaries)
    for name, address in _admin_addresses(cluster).items():
        for page in ("/metrics", "/-/exceptions"):
            yield _scan(f"{page} of {name}", _page(address, page), canaries)


def _scan(place: str, text: str, canaries: list[str]) -> Scan:
    found = tuple(canary for canary in canaries if canary in text)
    return Scan(place, len(text.splitlines()), found)


def _page(address: str, path: str) -> str:
    with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
        text: bytes = answer.read()
    return text.decode()
