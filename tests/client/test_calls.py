"""The client's short calls: what they send, and what their errors say."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

import grpc
import pytest

from taskwire.client import CallFailed, Client, FollowUp, Unreachable, ended
from taskwire.client.errors import call_failed
from taskwire.examples.v1.math_tasks_pb2 import DivideRequest, DivideResponse
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
    created = answers(task_service_pb2.SubmitTaskResponse())
    server.will("SubmitTask", created, created)
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
    client.submit(DivideRequest(), delay=90)
    assert server.requests["SubmitTask"][1].delay.seconds == 90


@pytest.mark.parametrize(
    ("said", "kind", "answer"),
    [
        ({"input": {"rows": 1}}, TypeError, "a protobuf message, not dict"),
        ({"labels": {"n": 1}}, TypeError, "labels are texts: write 'n': '1'"),
        ({"schedule_time": datetime(2030, 1, 1)}, ValueError, r"datetime.now\(UTC\) or .astime"),  # noqa: DTZ001  # naive on purpose
    ],
)
def test_a_submission_that_cannot_be_meant_is_refused_in_words(
    client: Client, said: dict[str, Any], kind: type[Exception], answer: str
) -> None:
    with pytest.raises(kind, match=answer):
        client.submit(**{"input": DivideRequest(), **said})
    follow_up = {"when": "success", "input": DivideRequest(), **said}
    with pytest.raises(kind, match=answer):
        client.submit(DivideRequest(), follow_ups=[FollowUp(**follow_up)])


@pytest.mark.parametrize(("request_", "labels"), [({"rows": 1}, None), (DivideRequest(), {"n": 1})])
def test_a_call_that_cannot_be_meant_is_refused_in_words(
    client: Client, request_: Any, labels: Any
) -> None:
    with pytest.raises(TypeError, match=r"a protobuf message, not dict|labels are texts"):
        client.call("a.B/C", request_, DivideResponse, labels=labels)


def test_an_input_that_is_no_text_is_refused_in_words(client: Client) -> None:
    with pytest.raises(TypeError, match=r"json is a text, not dict: write json.dumps"):
        client.input_message("a.B/C", {"rows": 1})  # type: ignore[arg-type]  # wrong on purpose


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


def test_a_call_that_nobody_answers_says_where_and_how_long() -> None:
    (port,) = free_ports(1)
    with (
        Client(f"127.0.0.1:{port}", timeout_s=0.5) as client,
        pytest.raises(Unreachable, match=f"nobody answered at 127.0.0.1:{port} within 0.5 s"),
    ):
        client.submit(DivideRequest())


def test_a_server_that_refuses_is_there(server: ScriptedServer, client: Client) -> None:
    assert client.is_reachable()


def test_an_error_without_details_is_still_an_error() -> None:
    error = call_failed(grpc.RpcError("cut"))
    assert error.code is grpc.StatusCode.UNKNOWN
    assert error.message == "cut"
