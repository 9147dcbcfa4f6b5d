"""The writer: groups, lone failures, a database that is away, and callers that have gone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence

import pytest
import sqlalchemy as sa

from taskwire_core.errors import StoreUnavailable
from taskwire_core.task import Deleted, Task
from taskwire_db import operations as ops
from taskwire_db.database import Database, Transaction
from taskwire_db.models import option_sets
from taskwire_db.reader import Reader
from taskwire_db.writer import MAX_GROUP_BYTES, Writer
from tests.store.steps import new_task, options, unit, worker


@pytest.fixture
def writer(database: Database) -> Iterator[Writer]:
    made = Writer(database)
    yield made
    made.close()


def hold(writer: Writer) -> tuple[threading.Event, threading.Event]:
    """Keep the writer busy until the second event, so that what follows becomes one group."""
    begun, release = threading.Event(), threading.Event()

    def block(tx: Transaction, items: Sequence[None]) -> list[None]:
        begun.set()
        assert release.wait(10)
        return [None] * len(items)

    writer.run(block, None)
    assert begun.wait(10)
    return begun, release


def test_what_is_pending_is_written_in_one_transaction(writer: Writer) -> None:
    groups: list[int] = []

    def count(tx: Transaction, items: Sequence[int]) -> list[int]:
        groups.append(len(items))
        return list(items)

    _, release = hold(writer)
    futures = [writer.run(count, number) for number in range(10)]
    release.set()
    assert [future.result(10) for future in futures] == list(range(10))
    assert groups == [10]


def test_a_group_has_a_bound_in_bytes(writer: Writer) -> None:
    groups: list[int] = []

    def count(tx: Transaction, items: Sequence[int]) -> list[int]:
        groups.append(len(items))
        return list(items)

    _, release = hold(writer)
    half = MAX_GROUP_BYTES // 2
    futures = [writer.run(count, number, size=half) for number in range(5)]
    futures += [writer.run(count, 5, size=2 * MAX_GROUP_BYTES), writer.run(count, 6)]
    release.set()
    assert [future.result(10) for future in futures] == list(range(7))
    assert groups == [2, 2, 2, 1]


def test_a_bad_item_fails_alone(writer: Writer, reader: Reader) -> None:
    good, twin = new_task(), new_task()
    _, release = hold(writer)
    first = writer.run(ops.submit, unit(good))
    second = writer.run(ops.submit, unit(twin))
    duplicate = writer.run(ops.submit, unit(good))
    release.set()
    assert [first.exception(10), second.exception(10)] == [None, None]
    assert first.result().submitted[0].task.id == good.id
    assert second.result().submitted[0].task.id == twin.id
    with pytest.raises(sa.exc.IntegrityError):
        duplicate.result(10)
    assert sum(reader.counts().values()) == 2


def test_options_of_a_group_that_failed_are_stored_when_it_is_written_one_by_one(
    writer: Writer, url: str
) -> None:
    good = new_task(opts=options(total_timeout=77))
    twin = new_task(opts=options(total_timeout=78))
    _, release = hold(writer)
    first = writer.run(ops.submit, unit(good))
    writer.run(ops.submit, unit(twin))
    writer.run(ops.submit, unit(twin))
    release.set()
    assert first.result(10).submitted[0].created
    elsewhere = Reader(url)
    assert elsewhere.get([good.id])[good.id].options == good.options
    elsewhere.close()


def test_an_error_of_a_group_that_failed_is_forgotten_when_it_is_written_one_by_one(
    writer: Writer,
) -> None:
    tries: list[int] = []

    def refuse_the_first_time(tx: Transaction, items: Sequence[None]) -> list[BaseException | str]:
        tries.append(len(items))
        return [ValueError("not yet") if len(tries) == 1 else "done"]

    def fail(tx: Transaction, items: Sequence[None]) -> list[None]:
        raise RuntimeError("a defect")

    _, release = hold(writer)
    answered = writer.run(refuse_the_first_time, None)
    failed = writer.run(fail, None)
    release.set()
    assert answered.result(10) == "done"
    with pytest.raises(RuntimeError):
        failed.result(10)


def test_a_write_stands_although_nobody_could_be_told_of_it(
    database: Database, reader: Reader
) -> None:
    def deaf(changes: Sequence[Task | Deleted]) -> None:
        raise RuntimeError("nobody listens")

    writer = Writer(database, announce=deaf)
    _, release = hold(writer)
    made = [writer.run(ops.submit, unit(new_task())) for _ in range(2)]
    release.set()
    assert all(each.result(10).submitted[0].created for each in made)
    writer.close()
    assert sum(reader.counts().values()) == 2


def test_every_change_is_announced_after_its_commit(database: Database, reader: Reader) -> None:
    seen: list[tuple[bytes, int, int]] = []

    def look(changes: Sequence[Task | Deleted]) -> None:
        for task in changes:
            assert isinstance(task, Task)
            seen.append((task.id, task.version, reader.versions([task.id])[task.id]))

    writer = Writer(database, announce=look)
    made = writer.run(ops.submit, unit(new_task())).result(10).submitted[0].task
    claimed = writer.run(ops.claim, ops.ClaimRequest(made.id, worker(database))).result(10)
    writer.close()
    assert claimed is not None
    assert seen == [(made.id, 2, 2)]


def test_an_error_of_the_database_does_not_tell_what_was_written(database: Database) -> None:
    row = {"id": 1, "body": "hunter2"}
    with database.transaction() as tx, pytest.raises(sa.exc.IntegrityError) as raised:
        tx.connection.execute(sa.insert(option_sets), [row, row])
    assert "hunter2" not in str(raised.value)


def test_a_caller_that_has_gone_before_its_transaction_wants_nothing_written(
    writer: Writer, reader: Reader
) -> None:
    _, release = hold(writer)
    future = writer.run(ops.submit, unit(new_task()))
    assert future.cancel()
    release.set()
    writer.run(ops.submit, unit(new_task())).result(10)
    assert sum(reader.counts().values()) == 1


async def test_an_event_loop_gets_its_results(writer: Writer) -> None:
    results = await asyncio.gather(*[writer.call(ops.submit, unit(new_task())) for _ in range(50)])
    assert len({result.submitted[0].task.id for result in results}) == 50


def test_a_closed_writer_has_written_everything_and_takes_no_more(
    writer: Writer, reader: Reader
) -> None:
    futures = [writer.run(ops.submit, unit(new_task())) for _ in range(100)]
    writer.close()
    assert all(future.done() for future in futures)
    assert sum(reader.counts().values()) == 100
    with pytest.raises(StoreUnavailable):
        writer.run(ops.submit, unit(new_task()))


def test_it_rests_after_a_group_as_long_as_its_size_and_its_time_say(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []
    groups: list[tuple[int, int]] = []
    times: list[tuple[float, float]] = []

    def rest_after(items: int, tasks: int, took_s: float, since_s: float) -> float:
        groups.append((items, tasks))
        times.append((took_s, since_s))
        return float(items - 1)

    def slow(tx: Transaction, items: Sequence[int]) -> list[int]:
        threading.Event().wait(0.3)
        return list(items)

    monkeypatch.setattr("taskwire_db.writer.rest_after", rest_after)
    writer = Writer(database, rest=rests.append)
    writer.run(ops.submit, unit(*[new_task() for _ in range(100)])).result(10)
    _, release = hold(writer)
    futures = [writer.run(slow, number) for number in range(5)]
    release.set()
    for future in futures:
        future.result(10)
    writer.close()
    assert groups == [(1, 100), (1, 1), (5, 5)]
    assert all(0 < took_s <= since_s for took_s, since_s in times)
    assert times[-1][0] > 0.2
    assert rests == [4]  # And none where there is nothing to rest for.


def test_whoever_writes_alone_does_it_in_its_own_thread(database: Database) -> None:
    writer = Writer(database)

    def where(tx: Transaction, items: Sequence[str]) -> list[tuple[str, int]]:
        return [(item, threading.get_ident()) for item in items]

    assert writer.run_here(where, "here") == ("here", threading.get_ident())
    writer.close()
    with pytest.raises(StoreUnavailable):
        writer.run_here(where, "late")


def test_whoever_writes_beside_others_waits_for_the_writer(writer: Writer) -> None:
    threads: list[int] = []

    def where(tx: Transaction, items: Sequence[str]) -> list[str]:
        threads.extend([threading.get_ident()] * len(items))
        return list(items)

    _, release = hold(writer)
    threading.Timer(0.1, release.set).start()
    assert writer.run_here(where, "there") == "there"
    assert threads[0] != threading.get_ident()


def test_an_error_of_what_is_written_here_is_raised_here(writer: Writer) -> None:
    def fail(tx: Transaction, items: Sequence[None]) -> list[BaseException]:
        return [ValueError("no")]

    with pytest.raises(ValueError, match="no"):
        writer.run_here(fail, None)
    # And it has let go: others can write.
    assert writer.run(lambda tx, items: list(items), 1).result(10) == 1


def test_a_writer_that_closes_waits_for_who_writes_in_a_thread_of_its_own(
    database: Database,
) -> None:
    writer, begun, done = Writer(database), threading.Event(), threading.Event()

    def slow(tx: Transaction, items: Sequence[None]) -> list[None]:
        begun.set()
        assert not done.wait(0.2)
        return [None] * len(items)

    def write() -> None:
        writer.run_here(slow, None)
        done.set()

    writing = threading.Thread(target=write)
    writing.start()
    assert begun.wait(10)
    writer.close()
    writing.join(1)
    assert done.is_set()
