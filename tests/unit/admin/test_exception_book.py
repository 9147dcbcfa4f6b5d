"""The book of exceptions: aggregated, bounded, and handed on between processes."""

from __future__ import annotations

import threading

from taskwire_admin.exception_book import ExceptionBook
from taskwire_admin.occurrence import ERROR, WARNING, Occurrence
from taskwire_core.caught import Caught, Frame


def occurrence(line: int = 1, message: str = "no", severity: str = ERROR) -> Occurrence:
    caught = Caught("ValueError", message, (Frame("a.py", line, "f", "raise"),))
    return Occurrence(caught, kind="task", place="acme.v1.Things/Do", severity=severity)


def test_the_same_place_is_one_key_and_another_line_is_another() -> None:
    book = ExceptionBook()
    for line in (1, 1, 2):
        book.record(occurrence(line))
    assert sorted(bundle.count for bundle in book.bundles()) == [1, 2]
    assert book.total == 3


def test_the_newest_ten_are_kept() -> None:
    book = ExceptionBook()
    for number in range(25):
        book.record(occurrence(message=str(number)))
    (bundle,) = book.bundles()
    assert bundle.count == 25
    assert [o.caught.message for o in bundle.newest] == [str(n) for n in range(15, 25)]


def test_the_key_that_was_seen_longest_ago_makes_room() -> None:
    book = ExceptionBook(max_keys=2)
    for line in (1, 2, 1, 3):
        book.record(occurrence(line))
    kept = [bundle.newest[0].caught.frames[0].line for bundle in book.bundles()]
    assert kept == [1, 3]
    assert (book.evicted, book.total) == (1, 4)


def test_an_error_is_worse_than_a_warning_whichever_comes_first() -> None:
    for order in ((WARNING, ERROR), (ERROR, WARNING)):
        book = ExceptionBook()
        for severity in order:
            book.record(occurrence(severity=severity))
        assert book.bundles()[0].severity == ERROR


def test_what_is_taken_is_forgotten_and_adds_up_elsewhere() -> None:
    child, parent = ExceptionBook(), ExceptionBook()
    for line in (1, 1, 2, 3):
        child.record(occurrence(line))
    while bundles := child.take(2):
        assert len(bundles) <= 2
        parent.add(bundles)
    child.record(occurrence(1))
    parent.add(child.take(10))
    assert child.bundles() == []
    assert {b.newest[0].caught.frames[0].line: b.count for b in parent.bundles()} == {
        1: 3,
        2: 1,
        3: 1,
    }
    assert parent.total == 5


def test_threads_lose_nothing() -> None:
    book = ExceptionBook(max_keys=5)

    def record() -> None:
        for number in range(500):
            book.record(occurrence(number % 5))

    threads = [threading.Thread(target=record) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert book.total == 4000
    assert [bundle.count for bundle in book.bundles()] == [800] * 5
