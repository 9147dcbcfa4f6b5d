"""The keeper and the backlog over the real store: timers, windows, stranded rows."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from taskwire.v1 import task_pb2
from taskwire.v1 import task_service_pb2 as pb
from taskwire_broker.topology import broker_queue
from taskwire_core.errors import StoreUnavailable
from taskwire_core.ids import new_id, to_text
from taskwire_core.lifecycle import State
from taskwire_db import operations as ops
from taskwire_gateway.keeper.stranded import StrandedSweep
from taskwire_gateway.ports import Planned, Recorded
from tests.gateway.running import Running, Worker, refusal
from tests.store.steps import new_task, submit
from tests.support.eventually import eventually_async


@pytest.fixture
def database_url(store_url: str) -> str:
    return store_url


def ready(running: Running) -> int:
    """How many messages wait in the embedded broker."""
    foundation = running.foundation
    return foundation.exchange.ready(broker_queue("images", foundation.deployment_id))


async def test_a_due_task_is_queued_and_dispatched(running: Running, worker: Worker) -> None:
    request = running.request()
    request.delay.FromMilliseconds(100)
    task_id = (await running.tasks.SubmitTask(request)).task.id
    await eventually_async(lambda: ready(running) == 1)
    found = (await running.tasks.GetTask(pb.GetTaskRequest(id=task_id))).task
    assert (found.state, found.version) == (task_pb2.TASK_STATE_QUEUED, 2)


async def test_a_task_that_waited_for_a_worker_is_dispatched_when_one_comes(
    running: Running,
) -> None:
    await running.submitted()
    assert ready(running) == 0
    Worker(running.foundation)
    await eventually_async(lambda: ready(running) == 1)


async def test_what_a_worker_queues_is_dispatched_at_its_ring_and_not_at_the_next_sweep(
    running: Running, worker: Worker
) -> None:
    parent = await worker.claim(await running.submitted())
    await eventually_async(lambda: running.gateway._keeper.leads)
    for chore in running.gateway._keeper._chores:
        chore.due = float("inf")
    before = ready(running)

    child = await worker.submit(parent)

    await eventually_async(lambda: ready(running) == before + 1)
    found = (await running.tasks.GetTask(pb.GetTaskRequest(id=child))).task
    assert found.parent == to_text(parent.id)


def hurry(running: Running) -> None:
    """All chores of the keeper are due at its next tick."""
    for chore in running.gateway._keeper._chores:
        chore.due = 0.0


async def test_the_rows_of_a_gateway_that_is_gone_are_dispatched(
    running: Running, worker: Worker
) -> None:
    database = running.foundation.database
    submit(database, new_task(database.clock.now_us()), gateway_id=new_id())
    hurry(running)
    await eventually_async(lambda: ready(running) == 1)


async def test_what_the_broker_has_lost_is_dispatched_again(
    running: Running, worker: Worker
) -> None:
    await running.submitted()
    await eventually_async(lambda: running.foundation.reader.dispatched() == {"images": 1})
    running.foundation.exchange.queues.clear()

    def dispatched_again() -> bool:
        # It takes two sweeps to believe that a message is missing.
        hurry(running)
        return ready(running) == 1

    await eventually_async(dispatched_again)


async def test_an_attempt_whose_worker_is_gone_is_settled(running: Running, worker: Worker) -> None:
    held = await worker.claim(await running.submitted())
    running.foundation.database.execute(ops.expire_worker, worker.id)
    hurry(running)

    def settled() -> bool:
        found = running.foundation.reader.get([held.id])[held.id]
        return found.state is State.RETRYING

    await eventually_async(settled)


async def test_a_sweep_that_fails_keeps_no_other_from_its_work(running: Running) -> None:
    async def stumble() -> int:
        raise RuntimeError("a row that cannot be read")

    running.gateway._keeper._chores[0].sweep = stumble
    await running.submitted()
    Worker(running.foundation)
    await eventually_async(lambda: ready(running) == 1)


async def test_a_task_whose_caller_went_away_in_the_commit_is_dispatched(
    running: Running, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = running.gateway._store
    submit = store.submit

    async def committed_for_nobody(tasks: Sequence[Planned]) -> list[Recorded]:
        await submit(tasks)
        raise StoreUnavailable("the answer was lost")

    await running.submitted(require_worker=True)
    await eventually_async(lambda: ready(running) == 1)
    monkeypatch.setattr(store, "submit", committed_for_nobody)
    await refusal(running.tasks.SubmitTask(running.request()))
    await eventually_async(lambda: ready(running) == 2)


async def test_a_start_timeout_expires_a_task_that_never_began(running: Running) -> None:
    request = running.request()
    request.overrides.start_timeout.FromMilliseconds(100)
    task_id = (await running.tasks.SubmitTask(request)).task.id
    ended = (await running.tasks.WaitTask(pb.WaitTaskRequest(id=task_id), timeout=10)).task
    assert ended.state == task_pb2.TASK_STATE_EXPIRED
    assert ended.WhichOneof("outcome") is None


class Clock:
    def __init__(self) -> None:
        self.us = 1_000

    def now_us(self) -> int:
        self.us += 1_000
        return self.us


class Rows:
    """Three rows of one queue that are with the broker, as SQL says."""

    def __init__(self, *, held: int = 0) -> None:
        self.given_back: list[tuple[str, int]] = []
        self._held = held

    async def dispatched(self) -> dict[str, int]:
        return {"images": 3}

    async def held(self) -> int:
        return self._held

    async def give_back(self, queue: str, before_us: int) -> int:
        self.given_back.append((queue, before_us))
        return 3


class Depths:
    def __init__(self, *answers: int | None) -> None:
        self._answers = list(answers)

    async def ready(self, queue: str) -> int | None:
        return self._answers.pop(0)


async def test_rows_are_stranded_when_the_broker_is_empty_twice() -> None:
    sweep = StrandedSweep(rows := Rows(), Depths(0, 0), Clock())
    assert await sweep.sweep() == 0
    assert await sweep.sweep() == 3
    assert rows.given_back == [("images", 2_000)]


async def test_a_busy_queue_does_not_hide_that_messages_are_missing() -> None:
    sweep = StrandedSweep(rows := Rows(), Depths(2, 1, 2), Clock())
    assert [await sweep.sweep() for _ in range(3)] == [0, 3, 3]
    assert rows.given_back == [("images", 2_000), ("images", 3_000)]


async def test_a_queue_with_all_its_messages_between_two_sweeps_clears_the_suspicion() -> None:
    sweep = StrandedSweep(rows := Rows(), Depths(0, 3, 0), Clock())
    for _ in range(3):
        await sweep.sweep()
    assert not rows.given_back


async def test_held_deliveries_and_a_silent_broker_are_no_proof() -> None:
    rows = Rows(held=1)
    held = StrandedSweep(rows, Depths(2, 2), Clock())
    silent = StrandedSweep(rows, Depths(None, None), Clock())
    for sweep in (held, held, silent, silent):
        await sweep.sweep()
    assert not rows.given_back
