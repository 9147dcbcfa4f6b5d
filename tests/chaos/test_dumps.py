"""A dump sees what is there: also a task that waits, its message, and a secret in a log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.chaos.checking import check
from tests.chaos.cluster import Cluster, Shape
from tests.chaos.dumps import dump, measure
from tests.chaos.history import read
from tests.chaos.proxies import Proxies
from tests.chaos.recording import Recorder, RecordingClient
from tests.chaos.records import Ok
from tests.chaos.remains import Metric, Process, Queue, Scan, TaskEvent, TaskRow
from tests.chaos.servers import Servers
from tests.chaos.work import messages, type_of, work
from tests.support.eventually import eventually
from tests.support.servers import RabbitServer, RedisServer

pytestmark = [pytest.mark.servers, pytest.mark.timeout(240)]

SECRET = "canary-tangerine-7c1f9e20b4"


@pytest.fixture
def cluster(
    rabbit: RabbitServer, redis_server: RedisServer, proxies: Proxies, tmp_path: Path
) -> Iterator[Cluster]:
    """One gateway and one worker, whose lease outlives it: what it has not run is published."""
    shape = Shape(settings={"lease_ttl": "30s"})
    servers = Servers()
    servers.rabbit, servers.redis = rabbit, redis_server
    with closing(Cluster(shape, servers, proxies, tmp_path / "history.jsonl")) as made:
        made.start_all()
        yield made


@pytest.fixture
def recorder(cluster: Cluster) -> Iterator[Recorder]:
    lease_s = cluster.shape.lease_ttl_s
    with closing(
        Recorder(cluster.history, seed=1, lease_ttl_s=lease_s, recovery_bound_s=60)
    ) as made:
        measure(made, cluster, "before")
        yield made


def found_in(cluster: Cluster) -> set[str]:
    return {violation.invariant for violation in check(read(cluster.history))}


def test_what_a_quiet_cluster_leaves_is_in_order(cluster: Cluster, recorder: Recorder) -> None:
    secret = recorder.canary(SECRET)
    with RecordingClient(recorder, cluster.address()) as client:
        answered = client.call(type_of("Work"), work(key="a"), messages().WorkResponse)
        failed = client.submit(work("WorkOnce", key="b", raises=f"The door said {secret}."))
        assert isinstance(answered, Ok)
        assert isinstance(failed, Ok)
        for _ in client.watch(failed.told[0].task_id):
            pass
    dump(recorder, cluster)
    assert check(read(cluster.history)) == []
    records = read(cluster.history).records
    rows = {r.task_id: r for r in records if isinstance(r, TaskRow)}
    assert {row.state for row in rows.values()} == {"SUCCEEDED", "FAILED"}
    assert rows[answered.told[0].task_id].result == answered.told[0].result
    assert sum(isinstance(r, TaskEvent) for r in records) == 6
    assert {r.process for r in records if isinstance(r, Metric)} == {"gateway", "worker"}
    assert any(isinstance(r, Queue) for r in records)
    used = [r for r in records if isinstance(r, Process)]
    assert {r.moment for r in used} == {"before", "after"}
    assert all(min(r.fds, r.threads, r.rss_bytes) > 0 for r in used)
    scans = [r for r in records if isinstance(r, Scan)]
    assert len(scans) == 6
    assert all(r.lines > 0 for r in scans), scans


def test_what_is_left_over_is_found(cluster: Cluster, recorder: Recorder) -> None:
    cluster.kill("worker")
    with RecordingClient(recorder, cluster.address()) as client:
        waiting = client.submit(work(key="a"))
        assert isinstance(waiting, Ok)
    with cluster.log_file("gateway").open("a") as log:
        log.write(f"{recorder.canary(SECRET)}\n")

    def published() -> bool:
        lines = cluster.servers.rabbit.ctl("list_queues", "name", "messages_ready").splitlines()
        return any(line.startswith("tw1.chaos.") and line.endswith("\t1") for line in lines)

    eventually(published, within=60, what="its message is in the queue")
    dump(recorder, cluster)
    assert found_in(cluster) == {"I2", "I14", "I16"}
