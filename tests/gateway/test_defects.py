"""What a defect costs between two steps of a gateway: no task waits for ever."""

from __future__ import annotations

import grpc
import pytest
import sqlalchemy as sa

from taskwire_db.models import tasks
from tests.gateway.running import Running, Worker, refusal
from tests.support.eventually import eventually_async
from tests.support.failpoints import armed


@pytest.fixture
def database_url(store_url: str) -> str:
    return store_url


def dispatched(running: Running) -> int:
    """How many tasks are marked as with the broker."""
    marked = sa.select(sa.func.count()).where(tasks.c.dispatched_at.is_not(None))
    with running.foundation.database.connect() as connection:
        found: int = connection.execute(marked).scalar_one()
    return found


async def test_a_task_that_is_committed_and_not_handed_on_is_left_to_the_backlog(
    running: Running, worker: Worker
) -> None:
    with armed("submit.committed:error"):
        refused = await refusal(running.tasks.SubmitTask(running.request()))
    assert refused.code is grpc.StatusCode.INTERNAL
    await eventually_async(lambda: dispatched(running) == 1)


async def test_a_backlog_that_is_taken_and_not_handed_on_is_taken_again(
    running: Running, worker: Worker
) -> None:
    with armed("submit.committed:error,sweep.backlog:error"):
        await refusal(running.tasks.SubmitTask(running.request()))
        await eventually_async(lambda: dispatched(running) == 1)
