"""Tasks in line for a thread: as few threads as possible are awake, and no task is forgotten."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from taskwire_core.ids import new_id
from taskwire_core.task import Dispatch
from taskwire_worker.line import Line
from tests.support.eventually import eventually


def dispatches(count: int) -> list[Dispatch]:
    return [Dispatch(new_id(), "acme.v1.Things/Do", "q", number) for number in range(count)]


class Sleepers:
    """Threads that take from a line and call `run` for each task."""

    def __init__(self, line: Line, run: Callable[[Dispatch], object], threads: int) -> None:
        self._line = line
        self._run = run
        self.taken: list[tuple[int, Dispatch]] = []
        """Which thread has taken which task, in the order in which they were taken."""
        self.threads = [threading.Thread(target=self._take, daemon=True) for _ in range(threads)]

    def wait_for(self, count: int, *, within: float = 10.0) -> None:
        """Waits until `count` tasks have been taken."""
        eventually(lambda: len(self.taken) == count, within=within)

    def _take(self) -> None:
        bed = threading.Lock()
        bed.acquire()
        while (dispatch := self._line.take(bed)) is not None:
            self.taken.append((threading.get_ident(), dispatch))
            self._run(dispatch)


@contextmanager
def sleeping(
    threads: int, run: Callable[[Dispatch], object], *, watched: bool = True
) -> Iterator[tuple[Line, Sleepers]]:
    """A line, and threads that are all asleep before it; `watched` by one more or not."""
    line = Line(threads)
    sleepers = Sleepers(line, run, threads)
    watch = [threading.Thread(target=line.keep_moving, daemon=True)] if watched else []
    for thread in [*sleepers.threads, *watch]:
        thread.start()
    eventually(lambda: len(line._asleep) == threads)
    try:
        yield line, sleepers
    finally:
        line.end()
        for thread in [*sleepers.threads, *watch]:
            thread.join(10)
            assert not thread.is_alive()


def test_a_group_wakes_one_thread_which_takes_all_in_order() -> None:
    group = dispatches(200)
    with sleeping(8, lambda _: None, watched=False) as (line, sleepers):
        line.put(group)
        assert len(line._asleep) >= 7
        sleepers.wait_for(200)
    assert [dispatch for _, dispatch in sleepers.taken] == group
    assert len({thread for thread, _ in sleepers.taken}) == 1


def test_the_last_to_fall_asleep_is_woken_first() -> None:
    with sleeping(8, lambda _: None, watched=False) as (line, sleepers):
        for turn in range(1, 21):
            line.put(dispatches(1))
            sleepers.wait_for(turn)
            eventually(lambda: len(line._asleep) == 8)
    assert len({thread for thread, _ in sleepers.taken}) == 1


def test_tasks_that_come_one_by_one_find_a_thread_each_while_others_run() -> None:
    gate = threading.Event()
    with sleeping(8, lambda _: gate.wait(30), watched=False) as (line, sleepers):
        for turn in range(1, 9):
            line.put(dispatches(1))
            sleepers.wait_for(turn)
        gate.set()


def test_tasks_that_wait_for_one_another_all_get_threads() -> None:
    barrier = threading.Barrier(8)
    with sleeping(8, lambda _: barrier.wait(30)) as (line, sleepers):
        for turn in range(1, 6):
            line.put(dispatches(8))
            sleepers.wait_for(8 * turn)
        eventually(lambda: len(line._asleep) == 8)
    assert not barrier.broken


def test_a_busy_interpreter_keeps_no_thread_from_tasks_that_take_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Every look is a late one.
    monkeypatch.setattr("taskwire_worker.line._LATE_S", -1.0)
    barrier = threading.Barrier(8)
    with sleeping(8, lambda _: barrier.wait(30)) as (line, sleepers):
        line.put(dispatches(8))
        sleepers.wait_for(8)
        eventually(lambda: len(line._asleep) == 8)
    assert not barrier.broken


def test_sixty_four_tasks_that_wait_all_run_at_the_same_time() -> None:
    gate = threading.Event()
    with sleeping(64, lambda _: gate.wait(30)) as (line, sleepers):
        line.put(dispatches(100))
        sleepers.wait_for(64)
        assert not line._asleep
        gate.set()
        sleepers.wait_for(100)


def test_a_task_that_takes_long_does_not_hold_up_those_behind_it() -> None:
    gate = threading.Event()
    group = dispatches(50)
    with sleeping(2, lambda each: each is group[0] and gate.wait(30)) as (line, sleepers):
        line.put(group)
        sleepers.wait_for(50)
        gate.set()


def test_no_task_is_forgotten_whoever_puts_and_takes() -> None:
    barrier = threading.Barrier(6)

    def run(dispatch: Dispatch) -> None:
        # Each group of six must run at the same time, whatever runs beside it.
        if dispatch.queue == "together":
            barrier.wait(30)

    def produce(line: Line) -> None:
        for size in [1, 1, 2, 7, 1, 30] * 100:
            line.put(dispatches(size))

    with sleeping(8, run) as (line, sleepers):
        producers = [threading.Thread(target=produce, args=[line]) for _ in range(4)]
        for thread in producers:
            thread.start()
        for _ in range(50):
            line.put([Dispatch(new_id(), "acme.v1.Things/Do", "together", 1) for _ in range(6)])
        for thread in producers:
            thread.join()
        sleepers.wait_for(4 * 100 * 42 + 50 * 6, within=60)
        eventually(lambda: len(line._asleep) == 8)
    assert len({dispatch.task_id for _, dispatch in sleepers.taken}) == len(sleepers.taken)


def test_at_the_end_what_waits_stays_unbegun() -> None:
    gate = threading.Event()
    with sleeping(1, lambda _: gate.wait(30)) as (line, sleepers):
        line.put(dispatches(3))
        sleepers.wait_for(1)
        line.end()
        line.put(dispatches(1))
        gate.set()
    assert len(sleepers.taken) == 1


def test_nobody_is_to_look_while_nobody_waits_or_nobody_sleeps() -> None:
    gate = threading.Event()
    with sleeping(2, lambda _: gate.wait(30), watched=False) as (line, sleepers):
        for count in (1, 2):
            line.put(dispatches(1))
            sleepers.wait_for(count)
        line.put(dispatches(5))
        assert not line._crowded.is_set()
        gate.set()
        sleepers.wait_for(7)
