"""Pages of tasks: what a whole walk meets, in which order, and how far one page looks."""

from __future__ import annotations

import dataclasses
import random
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from taskwire_core.filters import EVERYTHING, Filter, matches
from taskwire_core.filters.parsing import parse
from taskwire_core.listing import Group, Listing, Order, Place, TaskPage, TooManyToCount
from taskwire_core.task import Payload, Task, View
from taskwire_db import operations as ops
from taskwire_db.database import Database
from taskwire_db.lists import pages, plans
from taskwire_db.lists.counts import count_tasks
from taskwire_db.lists.pages import list_tasks
from tests.store.population import insert, random_task, task_id
from tests.store.steps import START_US, ManualClock, cancel, new_task, submit, unit
from tests.store.test_filters import filters

MIB = 1024 * 1024


@pytest.fixture
def population(database: Database) -> list[Task]:
    chance = random.Random(11)
    found = [random_task(chance, number) for number in range(250)]
    insert(database, found)
    return found


@pytest.fixture
def reading(url: str, clock: ManualClock, database: Database) -> Iterator[Database]:
    """The database as a gateway's lists read it."""
    opened = Database(url, clock=clock, writable=False)
    yield opened
    opened.close()


def listing(filter_: Filter = EVERYTHING, **fields: object) -> Listing:
    wish = Listing("ann", filter_, Order.NEWEST, 50, View.BASIC, 4 * MIB)
    return dataclasses.replace(wish, **fields)  # type: ignore[arg-type]  # fields of Listing


def page(reading: Database, wish: Listing) -> TaskPage:
    with reading.snapshot() as connection:
        return list_tasks(reading, connection, wish)


def walk(reading: Database, wish: Listing) -> Iterator[Task]:
    """All pages; a page without tasks that is not the last may come, but not for ever."""
    for _ in range(2_000):
        found = page(reading, wish)
        assert len(found.tasks) <= wish.limit
        yield from found.tasks
        if found.next is None:
            return
        wish = dataclasses.replace(wish, after=found.next)
    raise AssertionError("the walk has no end")


def in_order(tasks: list[Task], order: Order) -> list[bytes]:
    if order is Order.CHANGED:
        ordered = sorted(tasks, key=lambda task: (task.update_time_us, task.id), reverse=True)
    else:
        newest_first = order is Order.NEWEST
        ordered = sorted(
            tasks, key=lambda task: (task.create_time_us, task.id), reverse=newest_first
        )
    return [task.id for task in ordered]


@pytest.mark.parametrize("small", [False, True], ids=["usual limits", "small limits"])
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.one_of(st.just(""), filters), order=st.sampled_from(Order), limit=st.integers(1, 60))
def test_a_walk_meets_every_match_once_and_in_order(
    text: str,
    order: Order,
    limit: int,
    small: bool,
    database: Database,
    reading: Database,
    population: list[Task],
    request: pytest.FixtureRequest,
) -> None:
    # Given limits so small that each way to read a list is taken, and pages end before they
    # are full.
    with pytest.MonkeyPatch.context() as patch:
        if small:
            for module in (plans, pages):
                for name in ("MOST_ROWS", "MOST_ENTRIES", "MOST_COUNTED", "MOST_SORTED"):
                    if hasattr(module, name):
                        patch.setattr(module, name, 20)
            patch.setattr(plans, "MOST_RANGES", 10)
        found = [task.id for task in walk(reading, listing(parse(text), order=order, limit=limit))]
    expected = [t for t in population if t.owner == "ann" and matches(t, parse(text))]
    assert found == in_order(expected, order)


@pytest.mark.parametrize("order", [Order.NEWEST, Order.OLDEST])
def test_a_walk_meets_what_was_there_once_while_tasks_are_added_and_move(
    database: Database, reading: Database, population: list[Task], order: Order
) -> None:
    # Given a writer that submits and cancels as fast as it can
    stop, added = threading.Event(), []

    def write() -> None:
        while not stop.is_set():
            task = new_task(owner="ann")
            submit(database, task)
            added.append(task.id)
            if len(added) % 2:
                cancel(database, task.id, owner="ann")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        # When all pages are read meanwhile, again and again
        while len(added) < 40:
            assert writer.is_alive()
            there = {task.id for task in population if task.owner == "ann"} | {*added}
            found = [task.id for task in walk(reading, listing(order=order, limit=7))]
            # Then none is met twice, and none of those that were there is missed
            assert len(found) == len(set(found))
            assert there <= {*found}
    finally:
        stop.set()
        writer.join()


def test_in_the_order_of_changes_a_task_is_met_once_at_most_while_it_changes(
    database: Database, reading: Database, clock: ManualClock
) -> None:
    # Given tasks of which one page was read
    tasks = [new_task(owner="ann") for _ in range(10)]
    for task in tasks:
        clock.advance(1)
        submit(database, task)
    wish = listing(order=Order.CHANGED, limit=4)
    first = page(reading, wish)
    assert [task.id for task in first.tasks] == [task.id for task in reversed(tasks[6:])]
    # When one that was read and one that was not are changed
    for task in (tasks[9], tasks[2]):
        clock.advance(1)
        cancel(database, task.id, owner="ann")
    # Then the rest has neither: both are at the front of a new walk
    rest = [task.id for task in walk(reading, dataclasses.replace(wish, after=first.next))]
    assert rest == [tasks[n].id for n in (5, 4, 3, 1, 0)]
    assert [t.id for t in page(reading, wish).tasks][:2] == [tasks[2].id, tasks[9].id]


def test_a_list_never_shows_the_tasks_of_another_user(
    database: Database, reading: Database, population: list[Task]
) -> None:
    for text in ("", "owner = bob", "labels.customer = acme", "state = FAILED OR owner = bob"):
        assert all(task.owner == "ann" for task in walk(reading, listing(parse(text))))


def test_a_page_ends_when_it_has_looked_at_enough(database: Database, reading: Database) -> None:
    # Given many tasks, of which only the oldest has the attempt that is asked for
    tasks = [
        replace(
            random_task(random.Random(n), n),
            id=task_id(START_US + n * 1_000, n),
            owner="ann",
            attempt=int(n == 0),
        )
        for n in range(plans.MOST_ROWS + 500)
    ]
    insert(database, tasks)
    wish = listing(parse("attempt = 1"))
    # When its page is asked for, then it comes empty and leads on
    first = page(reading, wish)
    assert first.tasks == ()
    assert first.next is not None
    rest = walk(reading, dataclasses.replace(wish, after=first.next))
    assert [task.id for task in rest] == [tasks[0].id]


def test_what_the_counters_know_to_be_empty_is_answered_without_a_look(
    database: Database, reading: Database, population: list[Task]
) -> None:
    assert page(reading, listing(parse("type = nothing.of.the/Kind"))) == TaskPage((), None)


def test_a_page_holds_payloads_up_to_its_bytes(database: Database, reading: Database) -> None:
    # Given ten tasks with a kilobyte of input each
    tasks = [
        replace(new_task(owner="ann"), input=Payload("acme.In", b"x" * 1_000)) for _ in range(10)
    ]
    database.execute(ops.submit, unit(*tasks))
    # Then a page has as many as its bytes are enough for, one at least, and the walk has all
    wish = listing(view=View.FULL, max_bytes=3_500)
    assert len(page(reading, wish).tasks) == 3
    assert len(page(reading, dataclasses.replace(wish, max_bytes=10)).tasks) == 1
    assert len([*walk(reading, wish)]) == 10
    assert len(page(reading, dataclasses.replace(wish, view=View.BASIC)).tasks) == 10


def test_the_create_time_of_a_task_is_that_of_its_id(
    database: Database, reading: Database, clock: ManualClock
) -> None:
    # Given tasks whose ids were made in another order than they are submitted in
    tasks = [new_task(owner="ann") for _ in range(5)]
    for task in reversed(tasks):
        clock.advance(1)
        submit(database, task)
    found = [*walk(reading, listing())]
    times = [task.create_time_us for task in found]
    assert times == sorted(times, reverse=True)
    bound = f"create_time >= {_text(times[0])}"
    assert [t.id for t in walk(reading, listing(parse(bound)))] == [
        t.id for t in found if t.create_time_us >= times[0]
    ]


def _text(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).isoformat(timespec="microseconds")


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    text=st.one_of(st.just(""), filters),
    groups=st.lists(st.sampled_from(Group), unique=True, max_size=3),
)
def test_a_count_is_that_of_the_matches(
    text: str, groups: list[Group], database: Database, reading: Database, population: list[Task]
) -> None:
    expected: dict[tuple[str, ...], int] = {}
    for task in population:
        if task.owner == "ann" and matches(task, parse(text)):
            names = {"state": task.state.name}
            key = tuple(names.get(group) or getattr(task, group) for group in groups)
            expected[key] = expected.get(key, 0) + 1
    with reading.snapshot() as connection:
        found = count_tasks(reading, connection, "ann", parse(text), groups, 10)
    assert found == expected


def test_counts_by_what_the_counters_know_need_no_time(
    database: Database, reading: Database, population: list[Task]
) -> None:
    for text in ("", "state = FAILED", "NOT type:acme.images OR queue = mail", "owner != bob"):
        with reading.snapshot() as connection:
            assert count_tasks(reading, connection, "ann", parse(text), [Group.TYPE], 0)


def test_a_count_that_takes_too_long_is_ended(database: Database, reading: Database) -> None:
    tasks = [replace(random_task(random.Random(n), n), owner="ann") for n in range(20_000)]
    insert(database, tasks)
    with reading.snapshot() as connection, pytest.raises(TooManyToCount):
        count_tasks(reading, connection, "ann", parse("labels.customer:* OR attempt > 2"), [], 0)
    # And the next statement of that connection has no limit any more.
    with reading.snapshot() as connection:
        assert count_tasks(reading, connection, "ann", parse("attempt > 2"), [], 10)


def test_a_place_behind_everything_is_an_empty_page(
    database: Database, reading: Database, population: list[Task]
) -> None:
    for order, place in (
        (Order.NEWEST, Place(b"")),
        (Order.OLDEST, Place(b"\xff" * 16)),
        (Order.CHANGED, Place(b"", 0)),
    ):
        assert page(reading, listing(order=order, after=place)) == TaskPage((), None)
