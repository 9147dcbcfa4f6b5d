"""The supervisor over a store in memory, with processes that take no work."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from taskwire_admin.admin import Admin
from taskwire_core.settings import Settings
from taskwire_worker import post
from taskwire_worker.ports import WorkerRow
from taskwire_worker.spawn import Child, spawn
from taskwire_worker.supervisor import Supervisor
from tests.support.eventually import eventually
from tests.unit.worker import halting_process, idle_process
from tests.unit.worker.fakes import FakeBook


class Book(FakeBook):
    """A list of workers whose leases a test may end."""

    def __init__(self) -> None:
        super().__init__()
        self.registered: list[WorkerRow] = []

    def register(self, worker: WorkerRow) -> None:
        super().register(worker)
        self.registered.append(worker)

    def end_lease(self, worker_id: bytes) -> None:
        with self.store.lock:
            self.store.leases[worker_id] = 0


def spawn_idle() -> Child:
    return spawn(idle_process.__name__)


def supervised(
    book: Book, folder: Path, watch: Callable[[], None], *, start: Callable[[], Child] = spawn_idle
) -> None:
    """`watch` is called in another thread while one process works, which ends after it."""
    settings = Settings(
        worker_processes=1,
        lease_ttl=timedelta(seconds=0.4),
        drain_grace=timedelta(0),
        data_dir=folder,
    )
    supervisor = Supervisor(settings, book, Admin("worker"), start=start)

    def watch_and_stop() -> None:
        try:
            watch()
        finally:
            supervisor.stop()

    with ThreadPoolExecutor(1) as others:
        watching = others.submit(watch_and_stop)
        assert supervisor.run() == 0
        watching.result()


def test_a_process_whose_lease_has_ended_is_replaced_by_one_with_another_id(
    tmp_path: Path,
) -> None:
    book = Book()

    def end_its_lease() -> None:
        eventually(lambda: book.registered)
        book.end_lease(book.registered[0].id)
        eventually(lambda: len(book.registered) == 2, what="another process works")

    supervised(book, tmp_path, end_its_lease)
    first, second = book.registered
    assert first.id != second.id
    assert (book.lost_ones, book.retired_ones) == ([first.id], [second.id])
    for pid in (first.pid, second.pid):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_process_that_stops_in_the_middle_of_a_message_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post, "_PATIENCE_S", 1)
    book = Book()
    modules = iter([halting_process.__name__])

    def until_replaced() -> None:
        eventually(lambda: len(book.registered) == 2, what="another process works")

    supervised(
        book,
        tmp_path,
        until_replaced,
        start=lambda: spawn(next(modules, idle_process.__name__)),
    )
    assert book.lost_ones == [book.registered[0].id]
