"""What a watch of many tasks remembers of what it has shown, and what it does when that is full."""

from __future__ import annotations

from msgspec.structs import replace

from taskwire_core.lifecycle import State
from taskwire_gateway.watch.shown import Shown
from tests.support.tasks import succeeded, task


def test_a_version_is_news_once() -> None:
    shown, one = Shown(), task(state=State.RUNNING)
    assert shown.is_news(one)
    shown.note(one)
    assert not shown.is_news(one)
    assert shown.is_news(replace(one, version=3))
    assert shown.is_live(one.id)


def test_what_has_ended_is_remembered_and_not_live() -> None:
    shown, one = Shown(), succeeded()
    shown.note(one)
    assert not shown.is_news(one)
    assert not shown.is_live(one.id)
    assert shown.may_have(one.id)


def test_a_task_that_was_never_shown_cannot_be_there() -> None:
    shown = Shown()
    assert not shown.may_have(task().id)
    shown.note(one := task())
    shown.forget(one.id)
    assert not shown.may_have(one.id)
    assert Shown(complete=False).may_have(one.id)


def test_whatever_an_earlier_stream_may_have_shown_is_news_again() -> None:
    shown, one = Shown(), task(state=State.QUEUED, version=1)
    shown.expect(one.id)
    assert shown.may_have(one.id)
    assert shown.is_news(one)


def test_a_full_memory_forgets_the_oldest_and_says_so() -> None:
    shown = Shown(most=3)
    ended, *live = [succeeded(), task(), task(), task()]
    shown.note(live[0])
    shown.note(ended)
    shown.note(live[1])
    assert shown.complete
    shown.note(live[2])
    assert not shown.complete
    assert all(shown.is_live(each.id) for each in live), "what has ended is forgotten first"
    shown.note(task())
    assert not shown.is_live(live[0].id)
    assert shown.may_have(live[0].id)
