"""Crash points: each failpoint has a row that crashes there; here are those of single processes.

Rows crash gateways, keepers and workers over real servers. A migration ends by itself,
and `taskwire dev` is everything in one process.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from taskwire.client import CallFailed, Client, Unreachable
from taskwire.v1 import task_pb2
from taskwire_core.failpoint_table import FAILPOINTS
from taskwire_core.ids import from_text
from taskwire_db.database import Database
from tests.chaos.crash_points import CRASH_POINTS, MIGRATION, WORKER, hits_in
from tests.chaos.rows import all_rows
from tests.chaos.rows.crash_points import CRASHES
from tests.e2e.test_embedded_faults import JournalServer
from tests.e2e.work import submit
from tests.store.invariants import check_invariants
from tests.support.embedded import environment, run_command
from tests.support.postgres import PostgresServer, database_of

TASKS = 12

EMBEDDED = {
    "submit.committed": 5,
    "publish.sent": 5,
    "claim.committed": 5,
    "claim.acknowledged": 5,
    "run.ended": 5,
    "settle.begun": 5,
    "settle.written": 5,
    # Some writes are done before it serves.
    "write.executed": 20,
    "write.committed": 20,
    "write.announced": 20,
}
"""Some of those of all services, and the hit that is in the middle of a dozen tasks."""

FAST = ("submit.committed", "run.ended")


def test_a_row_crashes_at_each_failpoint_of_a_service() -> None:
    played = {point for crashes in CRASHES for point in crashes.points}
    assert played == set(CRASH_POINTS)
    assert {point.failpoint for point in played} | set(MIGRATION) == set(FAILPOINTS)
    assert {crashes.number for crashes in CRASHES} <= {row.number for row in all_rows()}


def test_a_lost_host_is_told_from_a_lost_process_at_each_failpoint_of_a_worker_process() -> None:
    actions = {
        point.failpoint: {crashes.action for crashes in CRASHES if point in crashes.points}
        for point in WORKER
    }
    assert all(each == {"kill", "kill-group"} for each in actions.values()), actions


def test_the_fast_crash_points_are_of_every_service() -> None:
    assert {point.service for point in CRASH_POINTS if point.fast} == {
        "gateway",
        "keeper",
        "worker",
    }


# Migrations.


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'taskwire.db'}"


@pytest.fixture
def postgresql_url(postgres: PostgresServer) -> Iterator[str]:
    with database_of(postgres) as url:
        yield url


@pytest.mark.parametrize(
    "hit", ["migrate.step:kill", "migrate.step:kill@4", "migrate.committed:kill"]
)
@pytest.mark.parametrize(
    "store", ["sqlite_url", pytest.param("postgresql_url", marks=pytest.mark.servers)]
)
def test_an_upgrade_that_is_killed_is_done_by_the_next_one(
    store: str, hit: str, request: pytest.FixtureRequest
) -> None:
    url: str = request.getfixturevalue(store)
    upgrade = ("db", "upgrade")
    killed = run_command(*upgrade, env=environment(database_url=url, failpoints=hit))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    done = run_command(*upgrade, env=environment(database_url=url))
    assert done.returncode == 0, done.stderr
    with closing(Database(url)) as database:
        assert len(database.deployment_id) == 16
        check_invariants(database)


# Everything in one process.


@pytest.mark.parametrize(
    "failpoint",
    [
        pytest.param(name, marks=pytest.mark.slow if name in FAST else pytest.mark.chaos)
        for name in EMBEDDED
    ],
)
def test_a_taskwire_dev_that_is_killed_there_loses_nothing(failpoint: str) -> None:
    server = JournalServer(threads=3)
    try:
        server.settings["failpoints"] = f"{failpoint}:kill@{EMBEDDED[failpoint]}"
        server.start()
        with Client(server.address, timeout_s=3) as client:
            acknowledged = _submitted(server, client)
        assert server.wait_until_ended() == -signal.SIGKILL
        assert [hit.failpoint for hit in hits_in(server.output)] == [failpoint]
        del server.settings["failpoints"]
        server.start()
        _require_all(server, acknowledged)
    finally:
        server.close()


def _submitted(server: JournalServer, client: Client) -> dict[str, str]:
    """The ids that were acknowledged, by key: all of them, unless the server has ended."""
    found: dict[str, str] = {}
    for key in (f"task{number}" for number in range(TASKS)):
        while key not in found and server.runs:
            # A submission that is late on a busy machine is not the kill: it is repeated.
            with suppress(CallFailed, Unreachable):
                found[key] = submit(client, key, request_id=key)
    return found


def _require_all(server: JournalServer, acknowledged: dict[str, str]) -> None:
    with Client(server.address) as client:
        again = _submitted(server, client)
        assert len(again) == TASKS
        assert {key: again[key] for key in acknowledged} == acknowledged, "other tasks"
        for key, task_id in again.items():
            assert client.wait(task_id, 60).state == task_pb2.TASK_STATE_SUCCEEDED
            assert server.ended(key), "it has succeeded and never ran"
    server.stop()
    with closing(Database(f"sqlite:///{server.data / 'taskwire.db'}", writable=False)) as database:
        check_invariants(database, [from_text(task_id) for task_id in again.values()])


@pytest.mark.slow
def test_watches_that_are_begun_while_the_server_dies_see_the_end() -> None:
    server = JournalServer(threads=3)
    dead, ended = threading.Event(), list[task_pb2.Task]()
    try:
        server.start()
        with Client(server.address) as client:
            task_id = submit(client, "watched", delay=timedelta(seconds=10))

            def watch() -> None:
                # Each is left and begun anew, so that some are just beginning at any moment.
                while not dead.is_set():
                    next(client.watch(task_id, heartbeat_s=5))
                ended.append([e.task for e in client.watch(task_id) if e.HasField("task")][-1])

            watchers = [threading.Thread(target=watch, daemon=True) for _ in range(8)]
            for watcher in watchers:
                watcher.start()
            server.kill()
            dead.set()
            server.start()
            for watcher in watchers:
                watcher.join(120)
    finally:
        server.close()
    assert [task.state for task in ended] == [task_pb2.TASK_STATE_SUCCEEDED] * len(watchers)
