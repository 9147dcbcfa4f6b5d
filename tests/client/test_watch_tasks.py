"""Following many tasks over streams that break: each goes on behind the last message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from taskwire.client import CallFailed, Client
from taskwire.v1 import task_service_pb2 as pb
from tests.client.scripted_server import Context, Script, ScriptedServer, abort, task

Event = pb.WatchTasksResponse
Closed = pb.Closed


def events(*numbers: int) -> list[Event]:
    """Tasks with these versions, each with a token of its number."""
    return [Event(task=task(number), resume_token=f"t{number}") for number in numbers]


def closed(reason: Closed.Reason.ValueType = Closed.REASON_TERMINAL) -> Event:
    return Event(closed=Closed(reason=reason), resume_token="end")


def streams(*found: Event, code: grpc.StatusCode | None = None, reason: str = "") -> Script:
    """A watch that sends these and ends with OK, or with an error."""

    def script(request: Any, context: Context) -> Iterator[Event]:
        yield from found
        if code is not None:
            abort(context, code, reason, 0.01)

    return script


def tokens(server: ScriptedServer) -> list[str]:
    return [request.resume_token for request in server.requests["WatchTasks"]]


def test_a_watch_ends_with_its_closed(server: ScriptedServer, client: Client) -> None:
    server.will("WatchTasks", streams(*events(1, 2), closed()))
    seen = list(client.watch_tasks(["a", "b"], heartbeat_s=7))
    assert [event.WhichOneof("kind") for event in seen] == ["task", "task", "closed"]
    (request,) = server.requests["WatchTasks"]
    assert [*request.ids] == ["a", "b"]
    assert request.heartbeat_interval.seconds == 7


@pytest.mark.parametrize(
    "broken",
    [
        streams(*events(1), code=grpc.StatusCode.UNAVAILABLE, reason="SERVER_DRAINING"),
        streams(*events(1), closed(Closed.REASON_MAX_AGE)),
        streams(*events(1), code=grpc.StatusCode.INTERNAL),
        streams(*events(1)),
    ],
)
def test_a_broken_stream_is_resumed_behind_its_last_message(
    server: ScriptedServer, client: Client, broken: Script
) -> None:
    told: list[str] = []
    server.will("WatchTasks", broken, streams(*events(2), closed()))
    watch = client.watch_tasks(filter="state = RUNNING", on_interruption=told.append)
    seen = [event.task.version for event in watch if event.HasField("task")]
    assert seen == [1, 2]
    assert tokens(server) == ["", "t1"]
    assert len(told) == 1


def test_a_version_that_comes_again_after_an_interruption_is_shown_once(
    server: ScriptedServer, client: Client
) -> None:
    server.will("WatchTasks", streams(*events(1, 3)), streams(*events(2, 3, 4), closed()))
    watch = client.watch_tasks(["a"])
    assert [event.task.version for event in watch if event.HasField("task")] == [1, 3, 4]


def test_a_watch_goes_on_from_a_token_of_another_process(
    server: ScriptedServer, client: Client
) -> None:
    server.will("WatchTasks", streams(closed()))
    list(client.watch_tasks(resume_token="t9"))
    assert tokens(server) == ["t9"]


def test_a_token_that_has_expired_begins_the_watch_again(
    server: ScriptedServer, client: Client
) -> None:
    expired = streams(code=grpc.StatusCode.OUT_OF_RANGE, reason="RESUME_TOKEN_EXPIRED")
    server.will("WatchTasks", streams(*events(1)), expired, streams(*events(2), closed()))
    list(client.watch_tasks())
    assert tokens(server) == ["", "t1", ""]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.NOT_FOUND, "TASK_NOT_FOUND"),
        (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FILTER"),
        (grpc.StatusCode.OUT_OF_RANGE, "RESUME_TOKEN_EXPIRED"),
    ],
)
def test_an_answer_that_would_come_again_is_raised(
    server: ScriptedServer, client: Client, code: grpc.StatusCode, reason: str
) -> None:
    def refuse(request: Any, context: Context) -> Iterator[Event]:
        abort(context, code, reason, None)
        yield from ()

    server.will("WatchTasks", refuse)
    with pytest.raises(CallFailed) as raised:
        list(client.watch_tasks(["a"]))
    assert raised.value.reason == reason


def test_closing_the_iterator_leaves_the_stream(server: ScriptedServer, client: Client) -> None:
    server.will("WatchTasks", streams(*events(1, 2, 3)))
    watch = client.watch_tasks()
    next(watch)
    watch.close()  # type: ignore[attr-defined]  # a generator
    assert server.left[0].wait(10)
