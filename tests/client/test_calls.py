"""The client's short calls: what they send, and what their errors say."""

from __future__ import annotations

import uuid
from datetime import timedelta

import grpc
import pytest

from taskwire.client import CallFailed, Client, Unreachable, ended
from taskwire.client.errors import call_failed
from taskwire.examples.v1.math_tasks_pb2 import DivideRequest
from taskwire.v1 import task_pb2, task_service_pb2
from tests.client.scripted_server import ScriptedServer, answers, refuses, task
from tests.support.processes import free_ports


def test_a_submission_carries_a_request_id_of_its_own(
    server: ScriptedServer, client: Client
) -> None:
    created = task_service_pb2.SubmitTaskResponse(task=task(1, "QUEUED"))
    server.will("SubmitTask", answers(created), answers(created))
    client.submit(DivideRequest(divisor=1))
    client.submit(DivideRequest(divisor=1))
    first, second = server.requests["SubmitTask"]
    assert uuid.UUID(first.request_id) != uuid.UUID(second.request_id)
    assert first.input.Is(DivideRequest.DESCRIPTOR)
    assert not first.HasField("overrides")


def test_a_submission_says_what_it_was_told(server: ScriptedServer, client: Client) -> None:
    server.will("SubmitTask", answers(task_service_pb2.SubmitTaskResponse()))
    client.submit(
        DivideRequest(),
        type="a.B/C",
        request_id="mine",
        labels={"a": "b"},
        delay=timedelta(hours=1),
    )
    (request,) = server.requests["SubmitTask"]
    assert (request.type, request.request_id, dict(request.labels)) == ("a.B/C", "mine", {"a": "b"})
    assert request.delay.seconds == 3600


def test_an_interrupted_submission_is_repeated_with_the_same_request_id(
    server: ScriptedServer, client: Client
) -> None:
    server.will(
        "SubmitTask",
        refuses(grpc.StatusCode.UNAVAILABLE),
        answers(task_service_pb2.SubmitTaskResponse()),
    )
    client.submit(DivideRequest())
    first, second = server.requests["SubmitTask"]
    assert first.request_id == second.request_id


def test_an_error_has_its_code_reason_and_message(server: ScriptedServer, client: Client) -> None:
    server.will("GetTask", refuses(grpc.StatusCode.NOT_FOUND, "TASK_NOT_FOUND"))
    with pytest.raises(CallFailed, match="as scripted") as caught:
        client.get("t")
    assert caught.value.code is grpc.StatusCode.NOT_FOUND
    assert (caught.value.reason, caught.value.domain) == ("TASK_NOT_FOUND", "taskwire.dev")
    assert not isinstance(caught.value, Unreachable)


def test_a_wait_goes_on_until_the_task_has_ended(server: ScriptedServer, client: Client) -> None:
    response = task_service_pb2.WaitTaskResponse
    server.will(
        "WaitTask",
        answers(response(task=task(2), timed_out=True)),
        refuses(grpc.StatusCode.NOT_FOUND),
    )
    with pytest.raises(CallFailed):
        client.wait("t")
    server.will("WaitTask", answers(response(task=task(3, "SUCCEEDED"))))
    assert ended(client.wait("t"))


def test_a_wait_with_a_time_out_returns_the_task_as_it_is(
    server: ScriptedServer, client: Client
) -> None:
    response = task_service_pb2.WaitTaskResponse(task=task(2), timed_out=True)
    server.will("WaitTask", answers(response))
    assert not ended(client.wait("t", 0))


@pytest.mark.parametrize(
    ("state", "is_end"),
    [("QUEUED", False), ("CANCELLING", False), ("SUCCEEDED", True), ("EXPIRED", True)],
)
def test_ended_knows_the_terminal_states(state: str, is_end: bool) -> None:
    assert ended(task(1, state)) is is_end


def test_an_unknown_state_is_no_end() -> None:
    assert not ended(task_pb2.Task.FromString(b"\x20\x63"))


def test_nobody_there_is_known_at_once() -> None:
    (port,) = free_ports(1)
    with Client(f"127.0.0.1:{port}") as client:
        assert not client.is_reachable(20)


def test_a_server_that_refuses_is_there(server: ScriptedServer, client: Client) -> None:
    assert client.is_reachable()


def test_an_error_without_details_is_still_an_error() -> None:
    error = call_failed(grpc.RpcError("cut"))
    assert error.code is grpc.StatusCode.UNKNOWN
    assert error.message == "cut"
