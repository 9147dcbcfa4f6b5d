"""Follow-ups and kill -9: an outcome and what it asks for are one transaction."""

from __future__ import annotations

import sqlite3
from collections import Counter
from functools import partial

from taskwire.client import Client, FollowUp
from taskwire.examples.v1.math_tasks_pb2 import DivideRequest
from taskwire.v1 import task_pb2
from tests.support.embedded import EmbeddedServer
from tests.support.eventually import eventually

ROUNDS = 5
TASKS_PER_ROUND = 40
ENDED = "FROM tasks WHERE state >= 6"

SUCCEEDS = DivideRequest(dividend=84, divisor=2)
FAILS = DivideRequest(dividend=1)


def counted(server: EmbeddedServer, query: str) -> int:
    """The number that a query of the server's database answers with."""
    with sqlite3.connect(server.data / "taskwire.db", timeout=5) as connection:
        (count,) = connection.execute(query).fetchone()
    return int(count)


def submit(client: Client, number: int) -> str:
    """A task that succeeds or fails, with one follow-up for each end and one for both."""
    return client.submit(
        FAILS if number % 4 == 0 else SUCCEEDS,
        follow_ups=[
            FollowUp(when, SUCCEEDS, labels={"when": when})
            for when in ("success", "failure", "always")
        ],
    ).task.id


def test_kill_9_doubles_and_loses_no_follow_up(killable_embedded: EmbeddedServer) -> None:
    server = killable_embedded
    parents: list[str] = []
    with Client(server.address) as client:
        for turn in range(ROUNDS):
            parents += [submit(client, number) for number in range(TASKS_PER_ROUND)]
            # In the middle of the work: some of these have ended, and some of what follows.
            enough = len(parents) + turn * TASKS_PER_ROUND + 5
            ended = partial(counted, server, f"SELECT count(*) >= {enough} {ENDED}")
            eventually(ended, within=60, what="some tasks have ended")
            server.kill()
            server.start()
        all_ended = partial(counted, server, f"SELECT count(*) = {3 * len(parents)} {ENDED}")
        eventually(all_ended, within=90, what="all tasks have ended")

        followed = Counter[str]()
        for parent in parents:
            task = client.get(parent)
            made = {each.condition: each.task_id for each in task.follow_ups if each.task_id}
            succeeded = task.state == task_pb2.TASK_STATE_SUCCEEDED
            assert made.keys() == {
                task_pb2.FOLLOW_UP_CONDITION_ON_SUCCESS
                if succeeded
                else task_pb2.FOLLOW_UP_CONDITION_ON_FAILURE,
                task_pb2.FOLLOW_UP_CONDITION_ALWAYS,
            }
            followed.update(made.values())
    assert len(followed) == 2 * len(parents)
    assert max(followed.values()) == 1
    assert counted(server, "SELECT count(*) FROM tasks") == 3 * len(parents)
