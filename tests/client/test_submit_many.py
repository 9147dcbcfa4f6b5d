"""Submitting over a stream: each is acknowledged once, over any number of streams."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from taskwire.client import CallFailed, Client
from taskwire.v1 import task_service_pb2 as pb
from tests.client.scripted_server import Context, Script, ScriptedServer, abort

Request = pb.SubmitTaskRequest


def acknowledged(item: pb.StreamSubmitTasksRequest) -> pb.StreamSubmitTasksResponse:
    answer = pb.StreamSubmitTasksResponse(client_ref=item.client_ref)
    answer.ok.task.id = item.request.request_id
    return answer


def takes(seen: list[str], most: int | None = None, *, answered: int | None = None) -> Script:
    """Receives up to `most` items, acknowledges the first ones of them, and breaks off."""

    def script(items: Iterator[Any], context: Context) -> Iterator[Any]:
        for count, item in enumerate(items, start=1):
            seen.append(item.request.request_id)
            if answered is None or count <= answered:
                yield acknowledged(item)
            if count == most:
                abort(context, grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING", 0.01)

    return script


def refuses(code: grpc.StatusCode, reason: str) -> Script:
    def script(items: Iterator[Any], context: Context) -> Iterator[Any]:
        next(items)
        abort(context, code, reason, None)
        yield

    return script


def requests(count: int) -> Iterator[Request]:
    return (Request(request_id=f"r{n}") for n in range(count))


def test_every_request_is_acknowledged_by_its_position(
    server: ScriptedServer, client: Client
) -> None:
    seen: list[str] = []
    server.will("StreamSubmitTasks", takes(seen))
    answers = list(client.submit_many(requests(3)))
    assert {a.client_ref: a.ok.task.id for a in answers} == {"0": "r0", "1": "r1", "2": "r2"}
    assert seen == ["r0", "r1", "r2"]


def test_a_request_without_an_id_gets_one(server: ScriptedServer, client: Client) -> None:
    seen: list[str] = []
    server.will("StreamSubmitTasks", takes(seen))
    list(client.submit_many([Request(), Request()]))
    assert len(set(seen)) == 2
    assert all(seen)


def test_what_a_broken_stream_left_open_is_sent_again(
    server: ScriptedServer, client: Client
) -> None:
    first: list[str] = []
    second: list[str] = []
    server.will("StreamSubmitTasks", takes(first, 4, answered=1), takes(second))
    answers = list(client.submit_many(requests(6)))
    assert sorted(a.client_ref for a in answers) == list("012345")
    assert first == ["r0", "r1", "r2", "r3"]
    assert second[:3] == ["r1", "r2", "r3"]
    assert sorted(second) == ["r1", "r2", "r3", "r4", "r5"]


def test_an_answer_that_would_come_again_is_raised(server: ScriptedServer, client: Client) -> None:
    server.will("StreamSubmitTasks", refuses(grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_REQUEST"))
    with pytest.raises(CallFailed) as raised:
        list(client.submit_many(requests(1)))
    assert raised.value.reason == "MALFORMED_REQUEST"


def test_an_error_of_the_source_is_raised_where_the_answers_are_read(
    server: ScriptedServer, client: Client
) -> None:
    def broken() -> Iterator[Request]:
        yield Request(request_id="r0")
        raise KeyError("the file is not what it seemed")

    server.will("StreamSubmitTasks", takes([]))
    answers = client.submit_many(broken())
    assert next(answers).client_ref == "0"
    with pytest.raises(KeyError):
        next(answers)
