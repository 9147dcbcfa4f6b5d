"""Several gateways and workers on one PostgreSQL: what a kill or a crash in the middle costs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from taskwire.client import Unreachable
from taskwire_db.reader import Reader
from tests.e2e.load import Load, check_nothing_lost
from tests.e2e.work import submit
from tests.support.eventually import eventually
from tests.support.postgres import PostgresServer, database_of
from tests.support.servers import RabbitServer, RedisServer
from tests.support.stack import Stack

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

SETTINGS = {"lease_ttl": "6s", "worker_threads": "4"}


def wait_for_workers(services: Stack) -> None:
    """Return when every worker of the stack that was started has registered."""
    workers = sum(name.startswith("worker") for name in services.processes)
    reader = Reader(services.settings["database_url"])
    eventually(lambda: len(reader.live_workers()) == workers, within=60, what="workers are alive")
    reader.close()


@pytest.fixture
def hosts(
    rabbit: RabbitServer, redis_server: RedisServer, postgres: PostgresServer
) -> Iterator[Stack]:
    """Two gateways and two workers."""
    with database_of(postgres) as url:
        made = Stack(
            rabbitmq_url=rabbit.url, redis_url=redis_server.url, database_url=url, **SETTINGS
        )
        try:
            for name in ("gateway", "gateway-2"):
                made.start_gateway(name)
            for name in ("worker", "worker-2"):
                made.start_worker(name)
            wait_for_workers(made)
            yield made
        finally:
            made.close()


def test_a_gateway_and_a_worker_that_are_killed_under_load_lose_nothing(hosts: Stack) -> None:
    load = Load(list(hosts.addresses.values()))
    load.reaches(150)
    hosts.kill("gateway")
    hosts.kill("worker")
    load.reaches(450)
    hosts.start_gateway("gateway")
    load.reaches(600)
    load.end()
    check_nothing_lost(hosts, load, within=90)


def test_a_postgresql_that_crashes_under_load_loses_nothing(
    rabbit: RabbitServer, redis_server: RedisServer, killable_postgres: PostgresServer
) -> None:
    url = killable_postgres.url(killable_postgres.create())
    services = Stack(
        rabbitmq_url=rabbit.url, redis_url=redis_server.url, database_url=url, **SETTINGS
    )
    try:
        services.start_gateway()
        services.start_worker()
        wait_for_workers(services)
        load = Load([services.address])
        load.reaches(150)
        killable_postgres.crash()
        with services.client() as client, pytest.raises(Unreachable) as refused:
            submit(client, "refused")
        assert refused.value.reason == "STORE_UNAVAILABLE"
        killable_postgres.start()
        load.reaches(400)
        load.end()
        assert {each.reason for each in load.refusals} <= {"STORE_UNAVAILABLE", ""}
        check_nothing_lost(services, load, within=90)
    finally:
        services.close()
