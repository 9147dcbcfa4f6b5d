"""Waiting for bulk operations when a look at them is older than one of those who wait."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from taskwire_gateway.bulk_ports import BulkBook
from taskwire_gateway.use_cases import bulk_waits
from taskwire_gateway.use_cases.bulk_waits import BulkWaits


class Looks:
    """A book whose looks are answered when the test says so."""

    def __init__(self) -> None:
        self.begun = asyncio.Semaphore(0)
        self.answers: asyncio.Queue[list[Any]] = asyncio.Queue()

    async def running(self) -> list[Any]:
        self.begun.release()
        return await self.answers.get()


async def test_an_operation_that_came_during_a_look_is_not_ended_by_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bulk_waits, "POLL_S", 0)
    looks = Looks()
    waits = BulkWaits(cast(BulkBook, looks))
    first = asyncio.create_task(waits.until_ended(b"first", timeout_s=60))
    await looks.begun.acquire()
    second = asyncio.create_task(waits.until_ended(b"second", timeout_s=60))
    await asyncio.sleep(0)
    looks.answers.put_nowait([])
    await first
    await looks.begun.acquire()
    assert not second.done()
    looks.answers.put_nowait([SimpleNamespace(id=b"second")])
    await looks.begun.acquire()
    assert not second.done()
    looks.answers.put_nowait([])
    await second
