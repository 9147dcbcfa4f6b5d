"""Several processes on one database at once, each with connections and a counter of its own."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from taskwire_core import recovery
from taskwire_core.failure import Code, Failure, FailureKind
from taskwire_core.ids import new_id, to_text
from taskwire_core.lifecycle import State
from taskwire_core.task import Dispatch, Payload, Task
from taskwire_core.user import NewUser, User, UserRemoval
from taskwire_db import operations as ops
from taskwire_db.database import Database
from taskwire_db.problems import Contended
from taskwire_db.reader import Reader
from tests.store.invariants import check_invariants
from tests.store.steps import (
    ManualClock,
    claim,
    new_task,
    options,
    running,
    submit,
    succeed,
    unit,
    worker,
)

PROCESSES = 4


@pytest.fixture
def processes(database: Database, url: str, clock: ManualClock) -> Iterator[list[Database]]:
    """Several processes' views of the database."""
    opened = [Database(url, clock=clock) for _ in range(PROCESSES)]
    for number, each in enumerate(opened):
        each.shard = 0 if each.is_sqlite else number
    yield opened
    for each in opened:
        each.close()


def at_once(work: Sequence[Callable[[], object]]) -> list[object]:
    """What each of `work` returns; they begin together, each in a thread of its own."""
    start = threading.Barrier(len(work))

    def begin(job: Callable[[], object]) -> object:
        start.wait(10)
        return job()

    with ThreadPoolExecutor(len(work)) as threads:
        return [future.result(60) for future in [threads.submit(begin, job) for job in work]]


def test_a_task_that_all_want_is_claimed_by_one(
    database: Database, processes: list[Database]
) -> None:
    made = [submit(database, new_task()).id for _ in range(40)]
    workers = [worker(database) for _ in processes]

    def claim_all(mine: Database, worker_id: bytes) -> list[bytes]:
        order = made.copy()
        random.Random(worker_id).shuffle(order)
        won = []
        for start in range(0, len(order), 10):
            some = [ops.ClaimRequest(task_id, worker_id) for task_id in order[start : start + 10]]
            found = mine.write(lambda tx, some=some: ops.claim(tx, some))  # type: ignore[misc]
            won += [task.id for task in found if task is not None]
        return won

    won = at_once(
        [
            lambda mine=mine, by=by: claim_all(mine, by)  # type: ignore[misc]
            for mine, by in zip(processes, workers, strict=True)
        ]
    )
    assert sorted(task_id for some in won for task_id in some) == sorted(made)  # type: ignore[attr-defined]
    check_invariants(database, made)


def test_request_ids_that_all_submit_at_once_make_one_task_each(
    database: Database, processes: list[Database], reader: Reader
) -> None:
    names = [f"request-{number}" for number in range(20)]

    def submit_all(mine: Database, seed: int) -> dict[str, bytes]:
        order = names.copy()
        random.Random(seed).shuffle(order)
        group = [unit(new_task(request_id=name)) for name in order]
        results = mine.write(lambda tx: ops.submit(tx, group))
        found = {}
        for name, result in zip(order, results, strict=True):
            assert isinstance(result, ops.UnitResult)
            found[name] = result.submitted[0].task.id
        return found

    first, *others = at_once(
        [
            lambda mine=mine, seed=seed: submit_all(mine, seed)  # type: ignore[misc]
            for seed, mine in enumerate(processes)
        ]
    )
    assert all(other == first for other in others)
    assert sum(reader.counts().values()) == len(names)
    check_invariants(database)


def test_of_two_contents_under_one_request_id_one_wins_and_the_other_is_refused(
    database: Database, processes: list[Database], reader: Reader
) -> None:
    contents = [b"one", b"two", b"one", b"two"]
    results = at_once(
        [
            lambda mine=mine, content=content: mine.execute(  # type: ignore[misc]
                ops.submit, unit(new_task(request_id="r", content=content), new_task())
            )
            for mine, content in zip(processes, contents, strict=True)
        ]
    )
    refused = [result for result in results if result.reused]  # type: ignore[attr-defined]
    assert len(refused) == 2
    assert all(result.reused == (0,) for result in refused)  # type: ignore[attr-defined]
    assert sum(reader.counts().values()) == 3
    check_invariants(database)


def test_an_option_set_that_all_store_first_is_stored_once(
    database: Database, processes: list[Database], reader: Reader
) -> None:
    ours = options(max_attempts=77)
    made = at_once([lambda mine=mine: submit(mine, new_task(opts=ours)) for mine in processes])  # type: ignore[misc]
    ids = [task.id for task in made if isinstance(task, Task)]
    assert {task.options for task in reader.get(ids).values()} == {ours}
    check_invariants(database, ids)


def test_two_keepers_move_what_is_due_once(
    database: Database, processes: list[Database], clock: ManualClock
) -> None:
    made = [submit(database, new_task(delay_s=1)).id for _ in range(60)]
    clock.advance(2)
    moved = at_once(
        [lambda mine=mine: mine.execute(ops.sweep_due, ops.Sweep(limit=100)) for mine in processes]  # type: ignore[misc]
    )
    ids = [task.id for some in moved for task in some]  # type: ignore[attr-defined]
    assert sorted(ids) == sorted(made)
    check_invariants(database, made)


def test_rows_of_the_backlog_go_to_one_of_two_leaders(
    database: Database, processes: list[Database]
) -> None:
    made = [submit(database, new_task()).id for _ in range(60)]
    wish = [ops.Backlog("images", ("acme.v1.Images/Shrink",), 60, new_id()) for _ in processes]
    taken = at_once(
        [
            lambda mine=mine, w=w: mine.execute(ops.take_backlog, w)  # type: ignore[misc]
            for mine, w in zip(processes, wish, strict=True)
        ]
    )
    ids = [dispatch.task_id for some in taken for dispatch in some]  # type: ignore[attr-defined]
    assert len(ids) == len(set(ids))
    rest = database.execute(ops.take_backlog, wish[0])
    assert sorted([*ids, *(d.task_id for d in rest)]) == sorted(made)


def test_an_attempt_that_is_settled_lost_and_cancelled_at_once_ends_once(
    database: Database, processes: list[Database]
) -> None:
    for _ in range(10):
        task = running(database, new_task(opts=options(max_attempts=1, at_most_once=True)))
        database.execute(ops.expire_worker, task.worker_id or b"")
        wish = ops.CancelRequest(task.id, None, "enough", "dev")
        jobs: list[Callable[[], object]] = [
            lambda task=task: succeed(processes[0], task),  # type: ignore[misc]
            lambda: processes[1].execute(ops.sweep_lost, ops.Sweep()),
            lambda wish=wish: processes[2].execute(ops.cancel, wish),  # type: ignore[misc]
            lambda task=task: succeed(processes[3], task),  # type: ignore[misc]
        ]
        at_once(jobs)
        rows = check_invariants(database, [task.id])
        assert State(rows[task.id].state).terminal


BROKEN = Failure(FailureKind.APPLICATION, Code.UNAVAILABLE, "BROKEN", "It broke.", retryable=True)


class Busy:
    """A process that does whatever there is to do, in an order of its own."""

    def __init__(self, database: Database, seed: int) -> None:
        self.database = database
        self.dice = random.Random(seed)
        self.worker = worker(database)
        self.held: list[Task] = []
        self.made: list[bytes] = []

    def work(self, known: list[bytes], steps: int) -> Counter[str]:
        done: Counter[str] = Counter()
        for _ in range(steps):
            step = self.dice.choice([self.submit, self.claim, self.settle, self.cancel, self.sweep])
            step(known)
            done[step.__name__] += 1
        return done

    def submit(self, known: list[bytes]) -> None:
        group = [unit(new_task(self.database.clock.now_us())) for _ in range(5)]
        for result in self.database.write(lambda tx: ops.submit(tx, group)):
            assert isinstance(result, ops.UnitResult)
            self.made.append(result.submitted[0].task.id)
            known.append(result.submitted[0].task.id)

    def claim(self, known: list[bytes]) -> None:
        some = [ops.ClaimRequest(task_id, self.worker) for task_id in self._some(known, 12)]
        found = self.database.write(lambda tx: ops.claim(tx, some))
        self.held += [task for task in found if task is not None]

    def settle(self, known: list[bytes]) -> None:
        self.dice.shuffle(self.held)
        some, self.held = self.held[:8], self.held[8:]
        now_us = self.database.clock.now_us()
        ends = [
            recovery.succeeded(task, Payload("acme.v1.ShrinkResponse", b"done"))
            if self.dice.random() < 0.6
            else recovery.failed(task, BROKEN, now_us=now_us)
            for task in some
        ]
        self.database.write(lambda tx: ops.settle(tx, ends))

    def cancel(self, known: list[bytes]) -> None:
        some = [ops.CancelRequest(key, None, "enough", "dev") for key in self._some(known, 3)]
        self.database.write(lambda tx: ops.cancel(tx, some))

    def sweep(self, known: list[bytes]) -> None:
        mark = [Dispatch(key, "", "", self.dice.randint(1, 3)) for key in self._some(known, 12)]
        self.database.write(lambda tx: ops.mark_dispatched(tx, mark))
        self.database.write(lambda tx: ops.undispatch(tx, mark))
        for sweep in (ops.sweep_due, ops.sweep_lost, ops.sweep_deadlines):
            self.database.execute(sweep, ops.Sweep(limit=20))
        if self.dice.random() < 0.2:
            self.database.execute(ops.expire_worker, self.worker)
            self.worker = worker(self.database)

    def _some(self, known: list[bytes], most: int) -> list[bytes]:
        there = known.copy()
        return self.dice.sample(there, min(len(there), self.dice.randint(0, most)))


def test_everything_at_once_breaks_no_invariant(
    database: Database, processes: list[Database], clock: ManualClock
) -> None:
    known: list[bytes] = []
    busy = [Busy(each, seed) for seed, each in enumerate(processes)]
    for _ in range(3):
        at_once([lambda one=one: one.work(known, 25) for one in busy])  # type: ignore[misc]
        check_invariants(database, known)
        clock.advance(2)
    assert sorted(known) == sorted(task_id for one in busy for task_id in one.made)


def test_a_transaction_that_met_another_one_is_run_again(database: Database) -> None:
    made = submit(database, new_task())
    tries: list[int] = []

    def contended(tx: object, items: Sequence[None]) -> list[str]:
        tries.append(len(items))
        if len(tries) < 3:
            raise Contended("deadlock detected")
        return ["done"]

    assert database.execute(contended, None) == "done"
    assert len(tries) == 3
    assert claim(database, made.id, worker(database)) is not None


def test_a_user_whom_some_create_while_others_delete_is_created_or_taken(
    processes: list[Database],
) -> None:
    def create_and_delete(mine: Database) -> list[object]:
        answers: list[object] = []
        for _ in range(25):
            new = NewUser(to_text(new_id()), "ada", "ada@example.com")
            new = replace(new, request_id="once", creator="dev", request_hash=b"h")
            found = mine.execute(ops.create_user, new)
            if isinstance(found, User):
                mine.execute(ops.delete_user, UserRemoval(found.id))
            answers.append(found)
        return answers

    found = at_once([lambda mine=mine: create_and_delete(mine) for mine in processes])  # type: ignore[misc]
    for answers in found:
        assert isinstance(answers, list)
        assert all(isinstance(answer, User) or answer.fields for answer in answers)
