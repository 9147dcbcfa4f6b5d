"""The threads of a worker process: what one of them meets is no end of it."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from taskwire_core.ids import new_id
from taskwire_core.task import Dispatch
from taskwire_worker.work_loop import WorkLoop
from tests.support.eventually import eventually


class Queue:
    """A consumer of what a test puts into it; an exception is raised instead."""

    def __init__(self) -> None:
        self.groups: deque[Sequence[Dispatch] | Exception] = deque()

    def put(self, *dispatches: Dispatch) -> None:
        self.groups.append(dispatches)

    def claimed(self) -> Sequence[Dispatch]:
        found = self.groups.popleft() if self.groups else ()
        if isinstance(found, Exception):
            raise found
        return found


def dispatch() -> Dispatch:
    return Dispatch(new_id(), "acme.v1.Things/Do", "q", 1)


class Ran:
    """What the loop's threads have run."""

    def __init__(self) -> None:
        self.ids: list[bytes] = []
        self.begun = 0
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, task_id: bytes, number: int) -> None:
        self.begun += 1
        self.gate.wait(30)
        self.ids.append(task_id)
        if number == 13:
            raise ValueError("a defect")


@contextmanager
def working(ran: Ran, *queues: Queue, threads: int = 1) -> Iterator[WorkLoop]:
    loop = WorkLoop(queues, ran, threads=threads)
    loop.start()
    try:
        yield loop
    finally:
        ran.gate.set()
        loop.stop(10)


def test_what_is_claimed_runs_in_the_order_of_the_claims() -> None:
    ran, queue = Ran(), Queue()
    sent = [dispatch() for _ in range(100)]
    queue.put(*sent[:60])
    queue.put(*sent[60:])
    with working(ran, queue):
        eventually(lambda: len(ran.ids) == 100)
    assert ran.ids == [each.task_id for each in sent]


def test_every_thread_runs_and_every_queue_is_asked() -> None:
    ran, one, other = Ran(), Queue(), Queue()
    ran.gate.clear()
    first, second = dispatch(), dispatch()
    one.put(first)
    other.put(second)
    with working(ran, one, other, threads=2):
        ran.gate.set()
        eventually(lambda: set(ran.ids) == {first.task_id, second.task_id})


def test_a_defect_in_a_run_ends_no_thread(caplog: pytest.LogCaptureFixture) -> None:
    ran, queue = Ran(), Queue()
    bad, good = Dispatch(new_id(), "acme.v1.Things/Do", "q", 13), dispatch()
    queue.put(bad, good)
    with caplog.at_level(logging.ERROR), working(ran, queue):
        eventually(lambda: ran.ids == [bad.task_id, good.task_id])
    assert "attempt could not be run" in caplog.text


def test_a_defect_in_a_consumer_ends_no_thread(caplog: pytest.LogCaptureFixture) -> None:
    ran, queue = Ran(), Queue()
    later = dispatch()
    queue.groups.append(ValueError("a defect"))
    queue.put(later)
    with caplog.at_level(logging.ERROR), working(ran, queue):
        eventually(lambda: ran.ids == [later.task_id])
    assert "consuming failed" in caplog.text


def test_a_stopped_loop_has_ended_its_threads_and_run_what_it_had_begun() -> None:
    ran, queue = Ran(), Queue()
    ran.gate.clear()
    begun = dispatch()
    queue.put(begun)
    loop = WorkLoop([queue], ran, threads=3)
    loop.start()
    eventually(lambda: ran.begun == 1)
    threading.Timer(0.1, ran.gate.set).start()
    loop.stop(10)
    assert ran.ids == [begun.task_id]
    assert not any(thread.is_alive() for thread in [*loop._running, *loop._consuming, loop._moving])
