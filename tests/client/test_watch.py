"""`Client.watch`: it comes back after every interruption and never misses the end."""

from __future__ import annotations

import grpc
import pytest

from taskwire.client import CallFailed, Client
from taskwire.client.broken import backoff_s
from tests.client.scripted_server import (
    Event,
    ScriptedServer,
    breaks,
    changed,
    closed,
    silent_after,
    stream,
)

END = (changed(3, "SUCCEEDED"), closed())


def versions(events: list[Event]) -> list[int]:
    return [event.task.version for event in events if event.WhichOneof("kind") == "task"]


def asked_after(server: ScriptedServer) -> list[int]:
    return [request.after_version for request in server.requests["WatchTask"]]


def test_a_watch_ends_with_closed(server: ScriptedServer, client: Client) -> None:
    server.will("WatchTask", stream(changed(1, "QUEUED"), changed(2), *END))
    events = list(client.watch("t"))
    assert versions(events) == [1, 2, 3]
    assert events[-1].WhichOneof("kind") == "closed"
    assert asked_after(server) == [0]


@pytest.mark.parametrize(
    ("interruption", "heartbeat_s"),
    [
        pytest.param(stream(changed(2)), 30, id="it ends without closed"),
        pytest.param(stream(changed(2), closed("SERVER_DRAINING")), 30, id="the server drains"),
        pytest.param(breaks(grpc.StatusCode.UNAVAILABLE, changed(2)), 30, id="unavailable"),
        pytest.param(breaks(grpc.StatusCode.INTERNAL, changed(2)), 30, id="a proxy's error"),
        pytest.param(breaks(grpc.StatusCode.CANCELLED, changed(2)), 30, id="cancelled by a proxy"),
        pytest.param(silent_after(changed(2)), 1, id="silence"),
    ],
)
def test_an_interrupted_watch_goes_on_after_the_last_version(
    server: ScriptedServer, client: Client, interruption: object, heartbeat_s: float
) -> None:
    server.will("WatchTask", interruption, stream(*END))  # type: ignore[arg-type]  # a script
    told: list[str] = []
    events = list(client.watch("t", heartbeat_s=heartbeat_s, on_interruption=told.append))
    assert versions(events) == [2, 3]
    assert asked_after(server) == [0, 2]
    assert len(told) == 1


def test_a_watch_begins_where_the_caller_says(server: ScriptedServer, client: Client) -> None:
    server.will("WatchTask", stream(), stream(*END))
    assert versions(list(client.watch("t", after_version=2))) == [3]
    assert asked_after(server) == [2, 2]


def test_after_the_terminal_state_a_broken_stream_is_the_end(
    server: ScriptedServer, client: Client
) -> None:
    server.will("WatchTask", breaks(grpc.StatusCode.UNAVAILABLE, changed(3, "FAILED")))
    assert versions(list(client.watch("t"))) == [3]
    assert len(server.left) == 1


def test_heartbeats_keep_a_watch_alive(server: ScriptedServer, client: Client) -> None:
    beat = Event()
    beat.heartbeat.SetInParent()
    server.will("WatchTask", stream(*[beat] * 3, *END))
    kinds = [event.WhichOneof("kind") for event in client.watch("t", heartbeat_s=30)]
    assert kinds == ["heartbeat"] * 3 + ["task", "closed"]


def test_a_message_of_an_unknown_kind_is_left_out(server: ScriptedServer, client: Client) -> None:
    server.will("WatchTask", stream(Event(), *END))
    assert versions(list(client.watch("t"))) == [3]


def test_every_stream_that_is_left_is_cancelled(server: ScriptedServer, client: Client) -> None:
    server.will("WatchTask", silent_after(changed(1)), silent_after(changed(2)))
    watch = client.watch("t", heartbeat_s=1)
    assert versions([next(watch), next(watch)]) == [1, 2]
    watch.close()  # type: ignore[attr-defined]  # it is a generator
    assert [left.wait(5) for left in server.left] == [True, True]


def test_an_unknown_task_is_an_error_at_once(server: ScriptedServer, client: Client) -> None:
    server.will("WatchTask", breaks(grpc.StatusCode.NOT_FOUND, reason="TASK_NOT_FOUND"))
    with pytest.raises(CallFailed) as caught:
        list(client.watch("t"))
    assert caught.value.reason == "TASK_NOT_FOUND"
    assert len(server.left) == 1


def test_an_internal_error_of_taskwire_itself_is_not_repeated(
    server: ScriptedServer, client: Client
) -> None:
    server.will("WatchTask", breaks(grpc.StatusCode.INTERNAL, reason="INTERNAL"))
    with pytest.raises(CallFailed):
        list(client.watch("t"))


def test_a_server_with_too_many_watches_is_asked_again(
    server: ScriptedServer, client: Client
) -> None:
    full = breaks(grpc.StatusCode.RESOURCE_EXHAUSTED, reason="TOO_MANY_WATCHES", retry_after_s=0.01)
    server.will("WatchTask", full, stream(*END))
    assert versions(list(client.watch("t"))) == [3]


def test_a_restored_database_is_watched_from_its_beginning(
    server: ScriptedServer, client: Client
) -> None:
    ahead = breaks(grpc.StatusCode.OUT_OF_RANGE, reason="VERSION_AHEAD")
    server.will("WatchTask", stream(changed(9)), ahead, stream(*END))
    assert versions(list(client.watch("t"))) == [9, 3]
    assert asked_after(server) == [0, 9, 0]


def test_a_callers_own_version_ahead_is_an_error(server: ScriptedServer, client: Client) -> None:
    server.will("WatchTask", breaks(grpc.StatusCode.OUT_OF_RANGE, reason="VERSION_AHEAD"))
    with pytest.raises(CallFailed, match="as scripted"):
        list(client.watch("t", after_version=9))


def test_pauses_grow_to_ten_seconds_and_honour_the_server() -> None:
    assert 0.1 <= backoff_s(0) <= 0.2
    assert 5 <= backoff_s(50) <= 10
    assert 30.1 <= backoff_s(0, at_least_s=30) <= 30.2
