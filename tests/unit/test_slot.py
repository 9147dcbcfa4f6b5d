"""A watcher's slot: versions go up, whatever is read or heard late."""

from __future__ import annotations

from msgspec.structs import replace

from taskwire.examples.v1.math_tasks_pb2 import DivideRequest
from taskwire_core.task import Task
from taskwire_gateway.watch.slot import Slot
from tests.unit.worker import fakes


def version(number: int) -> Task:
    return replace(fakes.queued_task("acme.v1.Things/Do", DivideRequest()), version=number)


async def test_a_state_that_is_read_late_is_not_shown() -> None:
    slot = Slot(b"", terminal_only=False)
    slot.put_task(newer := version(3))
    assert await slot.take(1) is newer
    for late in (version(2), version(3)):
        slot.put_task(late)
        assert await slot.take(0) is None


async def test_what_rang_before_the_first_look_is_not_shown_after_it() -> None:
    slot = Slot(b"", terminal_only=False)
    slot.put_task(version(2))
    slot.start_after(3)
    assert await slot.take(0) is None
    slot.put_task(newer := version(4))
    assert await slot.take(1) is newer
