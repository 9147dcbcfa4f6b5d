"""What news bring along, and how versions understand one another's."""

from __future__ import annotations

import msgspec
import pytest

from taskwire_core.lifecycle import State
from taskwire_core.task import Ring, Task
from taskwire_db.feed.wire import (
    MAX_BROUGHT_BYTES,
    MOST_BROUGHT,
    News,
    decode_news,
    encode_news,
    tasks_brought,
)
from tests.support.tasks import succeeded, task


def heard(tasks: list[Task], wanted: list[Task]) -> list[Task | None]:
    """The tasks that come along in the news of `tasks` to who wants some of them."""
    rings = [Ring(each.id, each.version, each.state) for each in tasks]
    news = decode_news(encode_news(News(rings), tasks_brought(tasks)), [each.id for each in wanted])
    assert news is not None
    assert [ring.task_id for ring in news.rings if isinstance(ring, Ring)] == [
        each.id for each in wanted
    ]
    return [ring.task for ring in news.rings if isinstance(ring, Ring)]


def test_each_ring_brings_its_own_task() -> None:
    tasks = [succeeded(), task(), task(state=State.RUNNING), succeeded(b"y")]
    assert heard(tasks, tasks) == [tasks[0], None, tasks[2], tasks[3]]
    assert heard(tasks, tasks[3:]) == tasks[3:]


@pytest.mark.parametrize("room", [0, 1])
def test_a_large_task_does_not_come_along(room: int) -> None:
    empty = len(tasks_brought([succeeded(b"")])[0])
    # From 256 bytes on MessagePack's length has two bytes instead of one.
    one = succeeded(b"x" * (MAX_BROUGHT_BYTES - empty - room))
    (body,) = tasks_brought([one])
    assert heard([one], [one]) == ([one] if body else [None])
    assert len(body) == (0 if room == 0 else MAX_BROUGHT_BYTES)


@pytest.mark.parametrize("more", [0, 1])
def test_of_many_tasks_none_comes_along(more: int) -> None:
    tasks = [succeeded() for _ in range(MOST_BROUGHT + more)]
    assert heard(tasks, tasks[-1:]) == ([None] if more else tasks[-1:])


def test_news_of_a_version_that_brings_nothing_are_understood_and_ours_by_it() -> None:
    one = succeeded()
    ours = msgspec.msgpack.decode(
        encode_news(News([Ring(one.id, 3, one.state)]), tasks_brought([one]))
    )
    # Without the last field, which is all that the version before did not write.
    news = decode_news(msgspec.msgpack.encode(ours[:-1]), [one.id])
    assert news == News([Ring(one.id, 3, one.state)], progress=())

    class Before(msgspec.Struct, array_like=True):
        rings: bytes
        deleted: bytes
        progress: tuple[object, ...]
        changed: bool
        backlog: bool

    assert msgspec.msgpack.decode(msgspec.msgpack.encode(ours), type=Before).rings == ours[0]


def test_a_ring_brings_no_other_task_than_its_own() -> None:
    one, other = succeeded(), succeeded()
    for ring in (Ring(one.id, one.version, one.state), Ring(other.id, 4, other.state)):
        news = decode_news(encode_news(News([ring]), tasks_brought([other])), [ring.task_id])
        assert news == News([ring], progress=())


def test_what_is_no_text_is_not_read() -> None:
    one = succeeded(owner="nobody-at-all")
    (body,) = tasks_brought([one])
    garbled = body.replace(b"nobody-at-all", b"\xff" * 13)
    news = decode_news(encode_news(News([Ring(one.id, 3, one.state)]), [garbled]), [one.id])
    assert news == News([Ring(one.id, 3, one.state)], progress=())
