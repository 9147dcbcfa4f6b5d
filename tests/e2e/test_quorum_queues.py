"""Gateway and worker over quorum queues, and what an operator who changes the type may expect."""

from __future__ import annotations

import pytest

from taskwire.v1 import task_pb2
from taskwire_db.database import Database
from tests.e2e.work import submit
from tests.support.eventually import eventually
from tests.support.servers import RabbitServer
from tests.support.stack import Stack

pytestmark = [pytest.mark.servers, pytest.mark.timeout(180)]


def test_what_waits_in_classic_queues_runs_after_a_change_to_quorum_queues(
    services: Stack, rabbit: RabbitServer
) -> None:
    with services.client() as client:
        first = submit(client, "first")
        assert client.wait(first, 30).state == task_pb2.TASK_STATE_SUCCEEDED
        # Its lease outlives it: the gateway goes on sending to its queue.
        services.kill("worker")
        waiting = [submit(client, f"waiting{n}") for n in range(3)]
        eventually(lambda: queues_of(services, rabbit).get("tw1") == ("classic", 3), within=20)
    services.stop("gateway")

    services.start_gateway(rabbitmq_queue_type="quorum")
    services.start_worker("second", rabbitmq_queue_type="quorum")

    with services.client() as client:
        for task_id in [*waiting, submit(client, "new")]:
            assert client.wait(task_id, 60).state == task_pb2.TASK_STATE_SUCCEEDED
    expected = {"tw1": ("classic", 3), "tw1q": ("quorum", 0)}
    eventually(lambda: queues_of(services, rabbit) == expected, within=20)
    for key in ("waiting0", "waiting1", "waiting2", "new"):
        assert [e.what for e in services.entries(key)] == ["begin", "end"]


def queues_of(services: Stack, rabbit: RabbitServer) -> dict[str, tuple[str, int]]:
    """The type and the depth of this deployment's queue `journal`, by its version."""
    database = Database(services.settings["database_url"], writable=False)
    name = f"journal.{database.deployment_id[-4:].hex()}"
    database.close()
    listed = rabbit.ctl("list_queues", "--no-table-headers", "name", "type", "messages")
    rows = [line.split() for line in listed.splitlines()]
    return {
        full.removesuffix(f".{name}"): (queue_type, int(messages))
        for full, queue_type, messages in rows
        if full.endswith(f".{name}")
    }
