"""The queue before Redis: bounded in number and bytes, the newest kept."""

from __future__ import annotations

from taskwire_db.feed.announcement_queue import MAX_ITEMS, MAX_RESULT_BYTES, AnnouncementQueue
from tests.support.tasks import succeeded, task


def test_it_gives_in_order_and_in_batches() -> None:
    queue, tasks = AnnouncementQueue(), [task() for _ in range(5)]
    queue.put(tasks)
    assert queue.take(3) == (tasks[:3], False)
    queue.close()
    assert queue.take(3) == (tasks[3:], True)
    assert queue.take(3) == ([], True)


def test_too_many_lose_their_oldest() -> None:
    queue, one = AnnouncementQueue(), task()
    first, *rest = [task(), *[one] * MAX_ITEMS]
    queue.put([first])
    queue.put(rest)
    assert queue.dropped == 1
    assert queue.take(1).items == [one]


def test_too_large_ones_lose_their_oldest() -> None:
    queue = AnnouncementQueue()
    half = [succeeded(b"x" * (MAX_RESULT_BYTES // 2)) for _ in range(3)]
    queue.put(half)
    assert queue.take(10).items == half[1:]
    queue.put(half[:2])
    assert queue.dropped == 1, "what was taken no longer counts"


def test_a_closed_queue_takes_nothing_more() -> None:
    queue = AnnouncementQueue()
    queue.close()
    queue.put([task()])
    assert queue.take(1) == ([], True)
