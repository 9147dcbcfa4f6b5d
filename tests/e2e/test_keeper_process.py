"""The keeper as a process of its own, beside a gateway that leaves its work alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from taskwire.client import Client
from taskwire.v1 import task_pb2
from taskwire_db.database import Database
from taskwire_db.models import gateways
from tests.e2e.work import submit
from tests.support.eventually import eventually
from tests.support.servers import RabbitServer, RedisServer
from tests.support.stack import Stack, stack

pytestmark = [pytest.mark.servers, pytest.mark.timeout(240)]

SOON = timedelta(milliseconds=500)
RETRIED = (task_pb2.TASK_STATE_RETRYING, task_pb2.TASK_STATE_QUEUED)


@pytest.fixture
def kept(rabbit: RabbitServer, redis_server: RedisServer) -> Iterator[Stack]:
    """A gateway without a keeper, and a worker whose leases are short."""
    settings = {"keeper": "off", "lease_ttl": "4s", "admin_listen": "off"}
    with stack(rabbitmq_url=rabbit.url, redis_url=redis_server.url, **settings) as made:
        with made.client() as client:
            # What comes before a worker waits for the keeper.
            eventually(lambda: any(t.live_workers for t in client.types()), within=30)
        yield made


def succeeds(client: Client, task_id: str) -> bool:
    return client.wait(task_id, 60).state == task_pb2.TASK_STATE_SUCCEEDED


def test_without_a_keeper_tasks_run_and_timers_wait_for_one(kept: Stack) -> None:
    with kept.client() as client:
        later = submit(client, "later", delay=SOON)
        assert succeeds(client, submit(client, "now"))
        due_s = client.get(later).schedule_time.ToNanoseconds() / 1e9
        eventually(lambda: time.time() > due_s)
        assert client.get(later).state == task_pb2.TASK_STATE_SCHEDULED
        kept.start_keeper()
        assert succeeds(client, later)
    assert "serving" not in kept.log("keeper")


def test_when_the_keeper_that_leads_is_killed_another_one_takes_over(kept: Stack) -> None:
    kept.start_keeper("first")
    with kept.client() as client:
        # A timer passes: the first one leads, and the second one stands by.
        assert succeeds(client, submit(client, "a", delay=SOON))
        kept.start_keeper("second")
        held = submit(client, "held", 60.0)
        kept.wait_for("begin", "held")
        kept.kill("first")
        assert succeeds(client, submit(client, "b", delay=SOON))
        # Only a keeper notices what a lost worker held.
        kept.kill("worker")
        eventually(lambda: client.get(held).state in RETRIED, within=60)
    assert kept.stop("second") == 0


def test_a_keeper_that_is_stopped_ends_in_order_and_leaves_no_lease(kept: Stack) -> None:
    kept.start_keeper()
    assert kept.stop("keeper") == 0
    database = Database(kept.settings["database_url"])
    try:
        with database.connect() as connection:
            assert len(connection.execute(gateways.select()).all()) == 1
    finally:
        database.close()
    assert "draining" in kept.log("keeper")
    assert "Traceback" not in kept.log("keeper")
