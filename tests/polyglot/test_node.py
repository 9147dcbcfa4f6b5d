"""An ordinary stub in Node against an embedded server, with the published service config."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from taskwire.client import Client, service_config
from taskwire.v1 import task_pb2
from tests.polyglot.programs import NodeStub
from tests.support.embedded import EmbeddedServer
from tests.support.eventually import eventually

pytestmark = pytest.mark.polyglot

TASKS = "taskwire.v1.TaskService"
DIVIDE = "taskwire.examples.v1.MathTasks/Divide"
SLEEP = "taskwire.examples.v1.DemoTasks/Sleep"
SLEEP_REQUEST = "taskwire.examples.v1.SleepRequest"


def test_a_durable_call_gives_the_typed_answer(node: NodeStub) -> None:
    answer = node.call(
        DIVIDE, {"dividend": 84, "divisor": 2}, {"taskwire-request-id": str(uuid.uuid4())}
    )
    assert answer.message == {"quotient": 42}
    assert uuid.UUID(answer.trailers["taskwire-task-id"]).version == 7


def test_without_a_request_id_the_headers_have_the_tasks_id(node: NodeStub) -> None:
    answer = node.call(DIVIDE, {"dividend": 1, "divisor": 2})
    assert answer.message == {"quotient": 0.5}
    assert answer.metadata["taskwire-task-id"] == answer.trailers["taskwire-task-id"]


def test_an_error_has_its_code_and_its_reason(node: NodeStub) -> None:
    answer = node.call(DIVIDE, {"dividend": 1}, {"taskwire-request-id": str(uuid.uuid4())})
    assert answer.messages == []
    assert answer.error["code"] == "INVALID_ARGUMENT"
    assert answer.error["message"] == "The divisor must not be 0."
    (info,) = answer.error["details"]
    assert info["@type"] == "google.rpc.ErrorInfo"
    assert info["reason"] == "DIVISION_BY_ZERO"
    task_id = {"key": "taskId", "value": answer.trailers["taskwire-task-id"]}
    assert task_id in info["metadata"]


def test_violations_are_decoded(node: NodeStub) -> None:
    answer = node.call(SLEEP, {"duration": {"seconds": 7200}})
    info, bad_request = answer.error["details"]
    assert info["reason"] == "FIELD_VIOLATION"
    assert [each["field"] for each in bad_request["field_violations"]] == ["duration"]


def test_a_task_is_submitted_and_watched_to_its_end(node: NodeStub) -> None:
    sleep = {"@type": SLEEP_REQUEST, "duration": {"nanos": 600_000_000}}
    task_id = node.call(f"{TASKS}/SubmitTask", {"input": sleep}).message["task"]["id"]
    watched = node.call(f"{TASKS}/WatchTask", {"id": task_id})
    assert watched.error is None
    tasks = [event["task"] for event in watched.messages if event["kind"] == "task"]
    versions = [int(task["version"]) for task in tasks]
    assert versions == sorted(set(versions))
    assert tasks[-1]["state"] == "TASK_STATE_SUCCEEDED"
    assert tasks[-1]["result"]["@type"] == "taskwire.examples.v1.SleepResponse"
    assert watched.messages[-1]["closed"] == {"reason": "REASON_TERMINAL"}


def test_a_running_task_is_cancelled(node: NodeStub, embedded: EmbeddedServer) -> None:
    request_id = str(uuid.uuid4())
    call = node.start(SLEEP, {"duration": {"seconds": 60}}, {"taskwire-request-id": request_id})
    with Client(embedded.address) as client:
        request = client.input_message(SLEEP, '{"duration": "60s"}')
        task_id = client.submit(request, type=SLEEP, request_id=request_id).task.id
        eventually(lambda: client.get(task_id).state == task_pb2.TASK_STATE_RUNNING)
    cancelled = node.call(f"{TASKS}/CancelTask", {"id": task_id, "reason": "not needed"}).message
    assert cancelled["effective"]
    answer = node.answer(call)
    assert answer.error["code"] == "CANCELLED"
    assert "not needed" in answer.error["message"]
    (info,) = answer.error["details"]
    assert info["reason"] == "TASK_CANCELLED"


def test_a_call_survives_kill_9_of_the_server_and_is_answered_once(
    killable_embedded: EmbeddedServer, node_program: str, descriptor_sets: tuple[Path, ...]
) -> None:
    server = killable_embedded
    node = NodeStub(node_program, server.address, descriptor_sets, service_config())
    metadata = {"taskwire-request-id": "one"}
    call = node.start(SLEEP, {"duration": {"seconds": 4}}, metadata)
    with Client(server.address) as client:
        request = client.input_message(SLEEP, '{"duration": "4s"}')
        task_id = client.submit(request, type=SLEEP, request_id="one").task.id
        eventually(lambda: client.get(task_id).state == task_pb2.TASK_STATE_RUNNING)
        server.kill()
        server.start()
        answer = node.answer(call)
        assert int(answer.message["slept"]["seconds"]) >= 4
        assert answer.trailers["taskwire-task-id"] == task_id
        assert client.get(task_id).attempt == 2
