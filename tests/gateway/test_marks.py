"""Which dispatches are marked: the confirmed ones, but those that are heard to be over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from taskwire_core.ids import from_text, new_id
from taskwire_core.lifecycle import State
from taskwire_core.task import Deleted, Dispatch, Progress, ProgressRing, Ring
from taskwire_gateway.dispatch.dispatcher import dispatch_of
from taskwire_gateway.dispatch.unmarked import Unmarked
from tests.gateway.running import SHRINK, Running, Worker
from tests.support.eventually import eventually_async
from tests.support.tasks import task

SENT = Dispatch(new_id(), SHRINK, "images", number=1, version=1)
# The task was given back and is dispatched anew.
AGAIN = replace(SENT, number=2, version=3)


def moved(version: int, state: State = State.RUNNING) -> Ring:
    return Ring(SENT.task_id, version, state)


@pytest.fixture
def unmarked() -> Unmarked:
    made = Unmarked()
    made.send([SENT])
    return made


@pytest.mark.parametrize("ring", [moved(2), moved(3, State.SUCCEEDED), Deleted(SENT.task_id)])
def test_a_task_that_is_heard_to_have_moved_is_not_marked(unmarked: Unmarked, ring: Ring) -> None:
    unmarked.confirm([SENT])
    unmarked.hear(ring)
    assert unmarked.take() == []
    assert SENT.task_id not in unmarked


@pytest.mark.parametrize("ring", [moved(2), moved(3, State.SUCCEEDED), Deleted(SENT.task_id)])
def test_nor_is_one_that_moved_before_the_broker_had_confirmed(
    unmarked: Unmarked, ring: Ring
) -> None:
    unmarked.hear(ring)
    unmarked.confirm([SENT])
    assert unmarked.take() == []
    assert SENT.task_id not in unmarked


def test_a_task_of_which_nothing_is_heard_is_marked_once(unmarked: Unmarked) -> None:
    assert SENT.task_id in unmarked
    unmarked.confirm([SENT])
    assert unmarked.take() == [SENT]
    assert unmarked.take() == []
    assert SENT.task_id not in unmarked


def test_a_task_is_marked_whose_version_nobody_knows() -> None:
    unmarked = Unmarked()
    unmarked.send([unknown := replace(SENT, version=0)])
    unmarked.hear(moved(2))
    unmarked.confirm([unknown])
    assert unmarked.take() == [unknown]


@pytest.mark.parametrize(
    "ring",
    [
        moved(2),
        moved(3, State.QUEUED),
        ProgressRing(SENT.task_id, 1, Progress(0.5, 1, 2, "half", 1)),
        Ring(new_id(), 9, State.RUNNING),
    ],
)
def test_what_was_before_the_dispatch_or_is_no_move_saves_no_mark(ring: Ring) -> None:
    unmarked = Unmarked()
    unmarked.send([AGAIN])
    unmarked.hear(ring)
    unmarked.confirm([AGAIN])
    unmarked.hear(ring)
    assert unmarked.take() == [AGAIN]


@pytest.mark.parametrize(
    "steps",
    [
        (lambda u: u.hear(moved(2)), lambda u: u.send([AGAIN]), lambda u: u.confirm([SENT])),
        (lambda u: u.hear(moved(2)), lambda u: u.confirm([SENT]), lambda u: u.send([AGAIN])),
        (lambda u: u.confirm([SENT]), lambda u: u.hear(moved(2)), lambda u: u.send([AGAIN])),
        (lambda u: u.confirm([SENT]), lambda u: u.take(), lambda u: u.send([AGAIN])),
    ],
    ids=["confirmed last", "confirmed in between", "heard in between", "marked"],
)
def test_a_task_that_was_given_back_is_marked_for_its_new_dispatch(
    unmarked: Unmarked, steps: tuple[Callable[[Unmarked], None], ...]
) -> None:
    for step in steps:
        step(unmarked)
    unmarked.confirm([AGAIN])
    assert unmarked.take() == [AGAIN]


def test_news_of_a_new_dispatch_leave_the_old_one_to_its_mark(unmarked: Unmarked) -> None:
    unmarked.send([AGAIN])
    unmarked.hear(moved(4))
    unmarked.confirm([SENT, AGAIN])
    assert unmarked.take() == [SENT], "it matches nothing, and that is not for us to know"
    assert SENT.task_id not in unmarked


def test_a_dispatch_that_is_published_twice_leaves_nothing_behind(unmarked: Unmarked) -> None:
    unmarked.hear(moved(2))
    unmarked.send([SENT])
    unmarked.confirm([SENT])
    assert unmarked.take() == []
    assert SENT.task_id not in unmarked


def test_marks_that_were_not_written_are_tried_again(unmarked: Unmarked) -> None:
    unmarked.confirm([SENT])
    unmarked.put_back(unmarked.take())
    assert unmarked.take() == [SENT]


def test_a_dispatch_has_the_version_of_its_task() -> None:
    assert dispatch_of(task(version=7, dispatch=3)).version == 7


async def test_a_running_gateway_hears_of_claims_of_what_it_has_published(
    running: Running, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With no mark, nothing but the news of a claim ends the waiting.
    monkeypatch.setattr("taskwire_gateway.dispatch.dispatcher.MARK_PAUSE_S", 3_600)
    dispatcher = running.gateway._dispatcher
    await running.gateway._workers.now()
    one, other = [await running.submitted() for _ in range(2)]
    await eventually_async(lambda: len(dispatcher.unmarked.confirmed) == 2)
    await worker.claim(one)
    await eventually_async(lambda: from_text(one) not in dispatcher.unmarked)
    await asyncio.sleep(0)
    assert [found.task_id for found in dispatcher.unmarked.confirmed] == [from_text(other)]
