"""The same foreign callers against a gateway and a worker over RabbitMQ and Redis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from taskwire.client import service_config
from tests.polyglot.programs import Grpcurl, NodeStub
from tests.support.servers import RabbitServer, RedisServer
from tests.support.stack import Stack, stack

pytestmark = [pytest.mark.polyglot, pytest.mark.servers, pytest.mark.timeout(240)]

TASKS = "taskwire.v1.TaskService"
WORK = "journal.v1.JournalTasks/Work"


@pytest.fixture(scope="module")
def services(rabbit: RabbitServer, redis_server: RedisServer) -> Iterator[Stack]:
    # A short lease, so that a lost worker is missed soon.
    urls = {"rabbitmq_url": rabbit.url, "redis_url": redis_server.url}
    with stack(**urls, lease_ttl="6s") as made:
        yield made


@pytest.fixture
def curl(services: Stack, grpcurl_program: str) -> Grpcurl:
    return Grpcurl(grpcurl_program, services.address)


@pytest.fixture
def stub(services: Stack, node_program: str, descriptor_sets: tuple[Path, ...]) -> NodeStub:
    sets = (*descriptor_sets, services.contracts)
    return NodeStub(node_program, services.address, sets, service_config("journal.v1.JournalTasks"))


def test_grpcurl_knows_a_teams_own_contract_and_calls_it(curl: Grpcurl, services: Stack) -> None:
    assert "journal.v1.JournalTasks" in curl("list").out.split()
    assert 'queue: "journal"' in curl("describe", "journal.v1.JournalTasks").out
    headers = {"taskwire-request-id": "curled-1"}
    request = {"key": "curled", "duration": "0.100s"}
    first, again = (curl.call(WORK, request, headers) for _ in range(2))
    assert first.json == again.json == {"key": "curled", "attempt": 1}
    assert [entry.what for entry in services.entries("curled")] == ["begin", "end"]


def test_grpcurl_submits_and_watches_to_the_end(curl: Grpcurl) -> None:
    work = {"@type": "type.googleapis.com/journal.v1.WorkRequest", "key": "w", "duration": "0.5s"}
    submitted = curl.call(f"{TASKS}/SubmitTask", {"type": WORK, "input": work}).json
    events = curl.call(f"{TASKS}/WatchTask", {"id": submitted["task"]["id"]}).messages
    states = [event["task"]["state"] for event in events if "task" in event]
    assert states[-1] == "TASK_STATE_SUCCEEDED"
    assert events[-1] == {"closed": {"reason": "REASON_TERMINAL"}}


def test_node_submits_and_watches_to_the_end(stub: NodeStub) -> None:
    work = {"@type": "journal.v1.WorkRequest", "key": "n", "duration": {"nanos": 300_000_000}}
    task = stub.call(f"{TASKS}/SubmitTask", {"input": work}).message["task"]
    watched = stub.call(f"{TASKS}/WatchTask", {"id": task["id"]})
    last = [event["task"] for event in watched.messages if event["kind"] == "task"][-1]
    assert last["state"] == "TASK_STATE_SUCCEEDED"
    assert last["result"] == {"@type": "journal.v1.WorkResponse", "key": "n", "attempt": 1}


def test_nodes_durable_call_outlives_kill_9_of_gateway_and_worker(
    stub: NodeStub, services: Stack
) -> None:
    work = {"key": "durable", "duration": {"seconds": 60}, "slow_once": True}
    call = stub.start(WORK, work, {"taskwire-request-id": "durable-1"})
    services.wait_for("begin", "durable")
    services.kill("worker")
    services.kill("gateway")
    services.start_worker()
    services.start_gateway()
    answer = stub.answer(call)
    assert answer.message == {"key": "durable", "attempt": 2}
    begun = [entry for entry in services.entries("durable") if entry.what == "begin"]
    assert [entry.attempt for entry in begun] == [1, 2]
    assert {entry.task_id for entry in begun} == {answer.trailers["taskwire-task-id"]}
