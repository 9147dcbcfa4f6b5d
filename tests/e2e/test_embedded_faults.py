"""What embedded mode keeps to: kill -9 loses and repeats nothing more than it must.

No server is needed. The handler's journal, which taskwire knows nothing about, says what was
begun and what ended.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import timedelta

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from taskwire.client import Client
from taskwire.v1 import options_pb2, task_pb2
from taskwire.v1 import task_service_pb2 as pb
from taskwire.v1.task_service_pb2_grpc import TaskServiceStub
from tests.e2e.work import TYPE
from tests.support.contracts import built
from tests.support.embedded import EmbeddedServer
from tests.support.eventually import eventually
from tests.support.stack import TESTS, Entry, journal_entries

SCHEDULED = task_pb2.TASK_STATE_SCHEDULED
QUEUED = task_pb2.TASK_STATE_QUEUED
RUNNING = task_pb2.TASK_STATE_RUNNING
RETRYING = task_pb2.TASK_STATE_RETRYING
CANCELLING = task_pb2.TASK_STATE_CANCELLING
SUCCEEDED = task_pb2.TASK_STATE_SUCCEEDED
CANCELLED = task_pb2.TASK_STATE_CANCELLED

LONG = "600s"


class JournalServer(EmbeddedServer):
    """A `taskwire dev` whose handler writes a journal."""

    def __init__(self, *, threads: int) -> None:
        contracts, python = built(TESTS / "e2e" / "protos")
        super().__init__(
            contracts=str(contracts),
            handlers="tests.e2e.journal_handlers",
            worker_threads=str(threads),
        )
        self.python_path = os.pathsep.join([str(python), str(TESTS.parent)])
        self.journal = self.folder / "journal.txt"
        self.journal.touch()

    @property
    def environment(self) -> dict[str, str]:
        """What the server is started with."""
        return {**super().environment, "JOURNAL_FILE": str(self.journal)}

    def entries(self, key: str) -> list[Entry]:
        """The journal's lines of one task."""
        return journal_entries(self.journal, key)

    def begun(self, key: str) -> list[int]:
        """The attempts of one task that began."""
        return [entry.attempt for entry in self.entries(key) if entry.what == "begin"]

    def wait_for_begin(self, key: str) -> None:
        """Returns once the task's first attempt has begun."""
        eventually(lambda: self.begun(key) == [1], what=f"{key} begins")

    def ended(self, key: str) -> list[int]:
        """The attempts of one task that did all their work."""
        return [entry.attempt for entry in self.entries(key) if entry.what == "end"]


def submit(
    client: Client, key: str, *, delay_s: float = 0, backoff_s: int = 0, **work: object
) -> str:
    """The id of a new task; `work` are fields of the journal's request."""
    overrides = None
    if backoff_s:
        backoff = Duration(seconds=backoff_s)
        retry = options_pb2.RetryPolicy(initial_backoff=backoff, max_backoff=backoff)
        overrides = options_pb2.TaskOverrides(retry=retry)
    return client.submit(
        client.input_message(TYPE, json.dumps({"key": key, **work})),
        delay=timedelta(seconds=delay_s) if delay_s else None,
        overrides=overrides,
    ).task.id


def comes_to(client: Client, task_id: str, state: task_pb2.TaskState.ValueType) -> None:
    """Returns once the task is in that state."""
    eventually(lambda: client.get(task_id).state == state, what=task_pb2.TaskState.Name(state))


def deaf_and_told(client: Client, key: str, duration: str) -> str:
    """A task that is CANCELLING and goes on for `duration`."""
    task_id = submit(client, key, duration=duration, deaf=True)
    comes_to(client, task_id, RUNNING)
    assert client.cancel(task_id).task.state == CANCELLING
    return task_id


@pytest.fixture
def killable() -> Iterator[JournalServer]:
    server = JournalServer(threads=3)
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def server() -> Iterator[JournalServer]:
    """One with a single slot, which each test leaves free."""
    shared = JournalServer(threads=1)
    try:
        shared.start()
        yield shared
    finally:
        shared.close()


@pytest.fixture
def client(server: JournalServer) -> Iterator[Client]:
    with Client(server.address) as made:
        yield made


def test_kill_9_loses_no_task_in_any_state_and_repeats_only_what_ran(
    killable: JournalServer,
) -> None:
    with Client(killable.address) as client:
        ids = {"retrying": submit(client, "retrying", backoff_s=12, failures=1)}
        comes_to(client, ids["retrying"], RETRYING)
        ids["cancelling"] = deaf_and_told(client, "cancelling", LONG)
        for key in ("running1", "running2"):
            ids[key] = submit(client, key, duration=LONG, slow_once=True)
            killable.wait_for_begin(key)
        for key in ("queued1", "queued2", "queued3"):
            ids[key] = submit(client, key)
        ids["scheduled"] = submit(client, "scheduled", delay_s=8)
        before = {key: client.get(task_id).state for key, task_id in ids.items()}
        killable.kill()
        killable.start()
        after = {key: client.wait(task_id, 60).state for key, task_id in ids.items()}
    assert before == {
        "retrying": RETRYING,
        "cancelling": CANCELLING,
        "running1": RUNNING,
        "running2": RUNNING,
        "queued1": QUEUED,
        "queued2": QUEUED,
        "queued3": QUEUED,
        "scheduled": SCHEDULED,
    }
    assert after == dict.fromkeys(ids, SUCCEEDED) | {"cancelling": CANCELLED}
    assert {key: killable.begun(key) for key in ids} == {
        "retrying": [1, 2],
        "cancelling": [1],
        # The killed attempt, and one more.
        "running1": [1, 2],
        "running2": [1, 2],
        "queued1": [1],
        "queued2": [1],
        "queued3": [1],
        "scheduled": [1],
    }
    for key in ids:
        assert len(killable.ended(key)) == (key != "cancelling")


def test_what_had_ended_before_kill_9_stays_as_it_was(killable: JournalServer) -> None:
    with Client(killable.address) as client:
        before = client.wait(submit(client, "done"), 20)
        killable.kill()
        killable.start()
        after = client.get(before.id, view=task_pb2.TASK_VIEW_OUTCOME)
    assert after == before
    assert killable.begun("done") == [1]


def test_a_scheduled_task_is_cancelled_at_once(client: Client) -> None:
    task_id = submit(client, "scheduled", delay_s=3600)
    answer = client.cancel(task_id, "not needed")
    assert (answer.effective, answer.task.state) == (True, CANCELLED)
    assert client.get(task_id).cancel_reason == "not needed"


def test_a_queued_task_is_cancelled_at_once_and_never_begins(
    client: Client, server: JournalServer
) -> None:
    running = submit(client, "holder", duration=LONG)
    comes_to(client, running, RUNNING)
    queued = submit(client, "queued")
    answer = client.cancel(queued)
    assert (answer.effective, answer.task.state) == (True, CANCELLED)
    client.cancel(running)
    assert client.wait(running, 20).state == CANCELLED
    assert client.wait(submit(client, "follower"), 20).state == SUCCEEDED
    assert server.begun("queued") == []


def test_a_running_task_is_told_and_stops(client: Client, server: JournalServer) -> None:
    task_id = submit(client, "running", duration=LONG)
    comes_to(client, task_id, RUNNING)
    answer = client.cancel(task_id)
    assert (answer.effective, answer.task.state) == (True, CANCELLING)
    assert client.wait(task_id, 20).state == CANCELLED
    assert server.begun("running") == [1]
    assert server.ended("running") == []


def test_a_retrying_task_is_cancelled_at_once_and_begins_no_more(
    client: Client, server: JournalServer
) -> None:
    task_id = submit(client, "retrying", backoff_s=3600, failures=1)
    comes_to(client, task_id, RETRYING)
    answer = client.cancel(task_id)
    assert (answer.effective, answer.task.state) == (True, CANCELLED)
    assert server.begun("retrying") == [1]


def test_a_second_cancel_changes_nothing(client: Client) -> None:
    task_id = deaf_and_told(client, "deaf", "3s")
    told = client.get(task_id)
    again = client.cancel(task_id, "again").task
    assert (again.state, again.version) == (CANCELLING, told.version)
    assert again.cancel_reason == told.cancel_reason
    # It did its work before it noticed.
    assert client.wait(task_id, 20).state == SUCCEEDED


def test_an_ended_task_stays_as_it_is(client: Client) -> None:
    done = client.wait(submit(client, "ended"), 20)
    answer = client.cancel(done.id)
    assert (answer.effective, answer.task) == (False, done)


def test_a_watch_that_is_cut_again_and_again_repeats_nothing_and_sees_the_end(
    client: Client,
) -> None:
    task_id = submit(client, "cut", failures=3, duration="0.3s")
    stub, seen = TaskServiceStub(client.channel), [0]
    state = SCHEDULED
    while state != SUCCEEDED:
        watch = stub.WatchTask(pb.WatchTaskRequest(id=task_id, after_version=seen[-1]))
        task = next(event.task for event in watch if event.HasField("task"))
        watch.cancel()
        seen.append(task.version)
        state = task.state
    assert seen == sorted(set(seen))
    assert seen[-1] == client.get(task_id).version
    resumed = list(stub.WatchTask(pb.WatchTaskRequest(id=task_id, after_version=seen[-1])))
    assert [event.WhichOneof("kind") for event in resumed] == ["heartbeat", "closed"]


def test_an_end_while_nobody_watched_is_the_first_thing_that_a_resumed_watch_tells(
    client: Client,
) -> None:
    task_id = submit(client, "unwatched", duration=LONG)
    stub = TaskServiceStub(client.channel)
    watch = stub.WatchTask(pb.WatchTaskRequest(id=task_id))
    last = next(event.task for event in watch if event.task.state == RUNNING)
    watch.cancel()
    client.cancel(task_id)
    client.wait(task_id, 20)
    resumed = stub.WatchTask(pb.WatchTaskRequest(id=task_id, after_version=last.version))
    told = [event.task.state for event in resumed if event.HasField("task")]
    assert told == [CANCELLED]
    assert resumed.code() is grpc.StatusCode.OK


def test_a_second_client_sees_the_same_task_and_may_end_it(
    client: Client, server: JournalServer
) -> None:
    task_id = submit(client, "shared", duration=LONG)
    comes_to(client, task_id, RUNNING)
    first = client.watch(task_id)
    next(first)
    with Client(server.address) as second:
        watch = second.watch(task_id)
        assert next(watch).task == client.get(task_id, view=task_pb2.TASK_VIEW_OUTCOME)
        assert second.cancel(task_id, "by the second").effective
        ends = [[e.task for e in each if e.HasField("task")][-1] for each in (first, watch)]
    assert ends[0] == ends[1]
    assert (ends[0].state, ends[0].cancel_reason) == (CANCELLED, "by the second")
