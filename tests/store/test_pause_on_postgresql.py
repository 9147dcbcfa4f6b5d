"""On PostgreSQL claims and a pause run side by side: whichever is first, the answer is right."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from taskwire_db import operations as ops
from taskwire_db.database import Database
from tests.store.steps import claim, new_task, submit, waiting_for_locks, worker
from tests.support.eventually import eventually
from tests.support.stores import Stores

pytestmark = pytest.mark.servers


@pytest.fixture
def url(postgresql_stores: Stores) -> Iterator[str]:
    with postgresql_stores.migrated() as found:
        yield found


def test_a_pause_waits_for_claims_in_progress_and_later_ones_see_it(url: str) -> None:
    database, pauser, claimer = (Database(url) for _ in range(3))
    alive = worker(database)
    before, after = (submit(database, new_task(database.clock.now_us())) for _ in range(2))
    with ThreadPoolExecutor() as threads:
        with database.transaction() as tx:
            (begun,) = ops.claim(tx, [ops.ClaimRequest(before.id, alive)])
            pause = threads.submit(
                pauser.execute, ops.pause_queue, ops.PauseRequest("images", "dev", "")
            )
            eventually(lambda: waiting_for_locks(database) == 1)
            # It begins before the pause is committed, and ends after it.
            late = threads.submit(claim, claimer, after.id, alive)
            eventually(lambda: waiting_for_locks(database) == 2)
        assert begun is not None
        assert pause.result(10)
        assert late.result(10) is None
    for each in (database, pauser, claimer):
        each.close()


def test_claims_do_not_wait_for_one_another(url: str) -> None:
    database, other = Database(url), Database(url)
    alive = worker(database)
    first, second = (submit(database, new_task(database.clock.now_us())) for _ in range(2))
    with database.transaction() as tx:
        assert ops.claim(tx, [ops.ClaimRequest(first.id, alive)]) != [None]
        assert claim(other, second.id, alive) is not None
    for each in (database, other):
        each.close()
