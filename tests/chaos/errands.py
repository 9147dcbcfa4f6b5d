"""What leads to a failpoint that a load comes to too seldom, or never.

An errand is done in a thread of its own, over and over until the failpoint was hit or only once.
It goes on through the crash, and says what must have become of its work when all lives again.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta

import sqlalchemy as sa
from google.protobuf.duration_pb2 import Duration

from taskwire import FollowUp
from taskwire.client import CallFailed, Unreachable
from taskwire.v1 import options_pb2, task_pb2
from taskwire_broker.topology import broker_queue
from taskwire_db.database import Database
from taskwire_db.models import task_changes
from tests.chaos.context import Chaos
from tests.chaos.records import Ok
from tests.chaos.work import new_request_id, submission_of, work
from tests.support.eventually import eventually
from tests.support.processes import alive

Errand = Callable[[Chaos], None]

_TWO_HOURS_US = 2 * 3_600_000_000
_RETURNS_WITHIN_S = 60.0
QUEUE = "chaos"


# Tasks of a kind; what becomes of them is in the history.


def nothing(_chaos: Chaos) -> None:
    """The load does it."""


def submit_a_task_that_is_followed(chaos: Chaos) -> None:
    """Its end makes another one."""
    after = [FollowUp("always", work(key="after"))]
    chaos.client.submit(
        work(key="before"), request_id=new_request_id(chaos.chance), follow_ups=after
    )


def submit_a_task_that_submits(chaos: Chaos) -> None:
    """Its handler makes another one."""
    chaos.client.submit(
        work(key="parent", submits="child"), request_id=new_request_id(chaos.chance)
    )


def submit_a_task_that_runs_apart(chaos: Chaos) -> None:
    """Its handler has a process of its own."""
    chaos.client.submit(work("WorkApart", key="apart"), request_id=new_request_id(chaos.chance))


def submit_a_task_that_nobody_takes(chaos: Chaos) -> None:
    """Its time to begin passes, on a queue that nobody works on."""
    overrides = options_pb2.TaskOverrides(queue="nobody", start_timeout=Duration(seconds=1))
    chaos.client.submit(
        work(key="late"), request_id=new_request_id(chaos.chance), overrides=overrides
    )


def submit_a_stream(chaos: Chaos) -> None:
    """Some tasks, side by side."""
    ids = [new_request_id(chaos.chance) for _ in range(5)]
    requests = [submission_of(work(key="streamed"), request_id=each) for each in ids]
    list(chaos.client.submit_many(requests))


def cancel_a_running_task(chaos: Chaos) -> None:
    """Its handler is told."""
    outcome = chaos.client.submit(
        work(seconds=5, key="told"), request_id=new_request_id(chaos.chance)
    )
    if isinstance(outcome, Ok):
        task_id = outcome.told[0].task_id
        chaos.journal.begun(task_id, within=_RETURNS_WITHIN_S)
        chaos.client.cancel(task_id, "an errand")


# What operators and time do. Its tasks are in no history: nobody was told of them.


def cancel_in_bulk(chaos: Chaos) -> None:
    """Tasks that are due much later are cancelled, all of them, whoever dies meanwhile."""
    label = f"bulk{chaos.chance.getrandbits(32):08x}"
    matching = f'labels.of = "{label}"'
    client = chaos.client.client
    ids = [
        eventually(lambda: _acknowledged(chaos, label, number), within=_RETURNS_WITHIN_S)  # noqa: B023  # called before the next
        for number in range(3)
    ]

    def begun() -> bool:
        try:
            client.bulk.cancel(matching, force=True, request_id=label)
        except (CallFailed, Unreachable) as problem:
            raise AssertionError("not yet") from problem
        return True

    def cancelled() -> bool:
        states = {_state(chaos, task_id) for task_id in ids}
        assert states == {task_pb2.TASK_STATE_CANCELLED}, states
        return True

    eventually(begun, within=_RETURNS_WITHIN_S)
    eventually(cancelled, within=_RETURNS_WITHIN_S, what="the bulk operation has come to its end")


def submit_a_task_that_is_forgotten(chaos: Chaos) -> None:
    """It is deleted soon after it has ended."""
    overrides = options_pb2.TaskOverrides(result_ttl=Duration(seconds=1))
    try:
        chaos.client.client.submit(work(key="forgotten"), overrides=overrides)
    except (CallFailed, Unreachable):
        return


def let_the_change_log_age(chaos: Chaos) -> None:
    """All that is in it is two hours old."""
    aged = sa.update(task_changes).values(change_time=task_changes.c.change_time - _TWO_HOURS_US)
    with (
        closing(Database(chaos.cluster.database_url)) as database,
        database.transaction() as transaction,
    ):
        transaction.connection.execute(aged)


# What is broken besides.


def end_the_gateway(chaos: Chaos) -> None:
    """It drains."""
    _end(chaos, "gateway")


def end_the_worker(chaos: Chaos) -> None:
    """It drains."""
    _end(chaos, "worker")


def kill_a_worker_process(chaos: Chaos) -> None:
    """Its supervisor lives."""
    chaos.cluster.wait_until_up("worker")
    chaos.kill_child("worker")


def lose_the_worker(chaos: Chaos) -> None:
    """With its host and a task; another one comes when nobody believes in it any more."""
    chaos.cluster.wait_until_up("keeper")
    chaos.journal.begun(chaos.submit(seconds=30, slow_once=True), within=_RETURNS_WITHIN_S)
    chaos.kill("worker")
    chaos.stay(chaos.cluster.shape.lease_ttl_s)
    chaos.cluster.start("worker")


def lose_the_gateway(chaos: Chaos) -> None:
    """With its host; another one comes at once."""
    chaos.cluster.wait_until_up("keeper")
    chaos.kill("gateway")
    chaos.cluster.start("gateway")


def lose_messages(chaos: Chaos) -> None:
    """What has waited for a worker is gone from the broker."""
    chaos.kill("worker")
    chaos.load.more(10)
    with closing(Database(chaos.cluster.database_url, writable=False)) as database:
        name = broker_queue(QUEUE, database.deployment_id)
    with chaos.fault("purged", "rabbitmq"):
        chaos.servers.rabbit.ctl("purge_queue", name)
    chaos.cluster.start("worker")


def end_the_worker_without_the_store(chaos: Chaos, *, lost: bool = False) -> None:
    """It has results that it cannot write, and may keep them in its spool. `lost`: its host is
    lost before the store is back, or else the supervisor itself writes them then."""
    cluster = chaos.cluster
    cluster.wait_until_up("worker")
    # Whoever waits for its end too may have started the next one before we look again.
    ending = cluster.processes["worker"]
    said_before = len(cluster.log("worker"))
    chaos.journal.begun(chaos.submit(seconds=2))
    with store_away_from(chaos, "worker"):
        cluster.send("TERM", "worker")

        def over() -> bool:
            said = cluster.log("worker")[said_before:]
            return "settlements spooled" in said or "failpoint hit" in said

        eventually(over, within=_RETURNS_WITHIN_S, what="results are spooled")
        if lost:
            chaos.kill("worker")
    eventually(lambda: not alive(ending), within=_RETURNS_WITHIN_S, what="the worker ends")


def leave_a_spool_behind(chaos: Chaos) -> None:
    """A worker's host is lost with results that are only in its spool."""
    end_the_worker_without_the_store(chaos, lost=True)


@contextmanager
def store_away_from(chaos: Chaos, service: str) -> Iterator[None]:
    """A service cannot write: on SQLite nobody can, on PostgreSQL its connection is gone."""
    with chaos.fault("store away", service):
        if chaos.cluster.shape.store == "postgresql":
            links = chaos.cluster.links(service, "postgresql")
            links.refuse()
            links.cut()
            try:
                yield
            finally:
                links.heal()
            return
        gate = os.open(chaos.cluster.folder / "taskwire.db-gate", os.O_RDWR)
        try:
            fcntl.flock(gate, fcntl.LOCK_EX)
            yield
        finally:
            os.close(gate)


def _end(chaos: Chaos, service: str) -> None:
    chaos.cluster.wait_until_up(service)
    chaos.load.more(10)
    chaos.cluster.send("TERM", service)


ENDING = frozenset({end_the_gateway, end_the_worker, end_the_worker_without_the_store})
"""After these the service ends, if it was not killed before."""


def _acknowledged(chaos: Chaos, label: str, number: int) -> str:
    try:
        answer = chaos.client.client.submit(
            work(key="bulk"),
            labels={"of": label},
            delay=timedelta(hours=1),
            request_id=f"{label}-{number}",
        )
    except (CallFailed, Unreachable) as problem:
        raise AssertionError("not yet") from problem
    return answer.task.id


def _state(chaos: Chaos, task_id: str) -> task_pb2.TaskState.ValueType:
    try:
        return chaos.client.client.get(task_id).state
    except (CallFailed, Unreachable) as problem:
        raise AssertionError("not yet") from problem
