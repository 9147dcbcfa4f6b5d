"""Whoever has the writer write large payloads says how large they are."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, cast

from taskwire_core import recovery
from taskwire_core.follow_up import Condition
from taskwire_core.task import Payload
from taskwire_db.database import Database
from taskwire_db.reader import Reader
from taskwire_db.rows import new_task as recorded
from taskwire_db.writer import Writer
from taskwire_gateway.adapters.ended_tasks import EndedTaskStore
from taskwire_gateway.ports import Planned
from taskwire_gateway.store import GatewayStore
from taskwire_worker.spool import Spool
from taskwire_worker.store_ledger import StoreLedger, StoreWorkerBook
from tests.store.steps import START_US, follow_up, new_task

LARGE = new_task(content=b"x" * 1000, follow_ups=(follow_up(Condition.ALWAYS),))
BYTES = 1000 + len(Condition.ALWAYS.name)


class _Away(Exception):
    pass


class FakeWriter:
    """It is told the sizes and writes nothing."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def run(self, operation: object, item: object, *, size: int = 0) -> Any:
        self.sizes.append(size)
        raise _Away

    call = run


async def test_the_sizes_of_submissions_of_retries_and_of_results_are_told() -> None:
    fake = FakeWriter()
    writer, reader = cast(Writer, fake), cast(Reader, None)
    ledger = StoreLedger(writer, b"")
    ended = EndedTaskStore(writer, reader, lambda: b"")
    gateway = GatewayStore(Database("sqlite:////nowhere"), writer, reader, ttl_us=None)
    task = recorded(LARGE, START_US)
    planned = Planned(LARGE, publish=True)
    with contextlib.suppress(_Away):
        await gateway.submit([planned, planned])
    with contextlib.suppress(_Away):
        await ended.retry([planned])
    with contextlib.suppress(_Away):
        ledger.settle(recovery.succeeded(task, Payload("acme.v1.Done", b"y" * 500)))
    with contextlib.suppress(_Away):
        ledger.settle(recovery.handed_back(task, "a drain"))
    with contextlib.suppress(_Away):
        ledger.submit(LARGE, 1)
    assert fake.sizes == [2 * BYTES, BYTES, 500, 0, BYTES]


def test_the_sizes_of_results_from_the_spool_are_told(tmp_path: Path) -> None:
    fake, spool = FakeWriter(), Spool(tmp_path)
    result = Payload("acme.v1.Done", b"y" * 500)
    spool.write("ended", [recovery.succeeded(recorded(LARGE, START_US), result)])
    with contextlib.suppress(_Away):
        StoreWorkerBook(cast(Writer, fake), spool, ttl_us=None).replay()
    assert fake.sizes == [500]
