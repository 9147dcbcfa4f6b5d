"""A visit to a real gateway and a real worker; what it needs no other client for."""

from __future__ import annotations

import pytest

from bench.measuring import measure
from bench.plan import Visit
from bench.subjects.subject import Servers
from bench.subjects.taskwire import Shape, Taskwire
from bench.verdicts import judge, targets_met
from tests.support.postgres import PostgresServer
from tests.support.servers import RabbitServer, RedisServer


@pytest.mark.servers
def test_a_visit_measures_its_workloads_and_counts_what_came_of_every_task(
    rabbit: RabbitServer, killable_redis: RedisServer, postgres: PostgresServer
) -> None:
    visit = Visit(
        "taskwire",
        lambda servers: Taskwire(Shape("taskwire"), servers),
        ("call 32", "push 50/s", "memory"),
    )
    rounds = measure(visit, Servers(rabbit, killable_redis, postgres), pair=1, scale=0.02)
    assert [each.workload for each in rounds] == list(visit.workloads)
    calls, pushes, memory = rounds
    assert calls.figures["tasks"] == 32
    assert pushes.figures["tasks"] == 4
    assert {"gateway", "worker", "rabbitmq", "redis", "client"} == calls.cpu_s.keys()
    assert calls.latencies_ms == sorted(calls.latencies_ms)
    assert memory.figures["pss_mb"] > 0
    assert targets_met(judge(rounds)) == "targets met: 0 of 0"
