"""What a worker may rely on when it writes, whatever it writes into."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest
from msgspec.structs import replace

from taskwire_core import recovery
from taskwire_core.errors import StoreUnavailable
from taskwire_core.failure import Code, Failure, FailureKind
from taskwire_core.ids import new_id
from taskwire_core.lifecycle import State
from taskwire_core.task import NewTask, Payload, Progress, ProgressRing, Task
from taskwire_worker.ports import AttemptOver, KeyReused, Ledger
from tests.store.steps import TTL_US, new_task, options
from tests.support.workplaces import Workplace, at_work, dispatch_of

BROKEN = Failure(
    kind=FailureKind.APPLICATION,
    code=Code.UNAVAILABLE,
    reason="BROKEN",
    message="It broke.",
    retryable=True,
)


@pytest.fixture
def ledger(workplace: Workplace) -> Ledger:
    return at_work(workplace)[1]


def waiting(workplace: Workplace, **how: Any) -> NewTask:  # as `new_task` takes it
    new = new_task(workplace.clock.now_us(), **how)
    workplace.submit(new)
    return new


def running(workplace: Workplace, ledger: Ledger, **how: Any) -> Task:  # as `new_task` takes it
    (task,) = ledger.claim([dispatch_of(waiting(workplace, **how))])
    return task


def success(task: Task) -> recovery.Settlement:
    return recovery.succeeded(task, Payload("acme.v1.ShrinkResponse", b"done"))


def failure(task: Task) -> recovery.Settlement:
    return recovery.failed(task, BROKEN, now_us=task.update_time_us)


def child_of(parent: Task, *, request_id: str = "first", content: bytes = b"child") -> NewTask:
    new = new_task(request_id=request_id, content=content)
    return replace(new, parent=parent.id, generation=1)


def problem_of(answer: Future[Any]) -> BaseException | None:
    return answer.exception(10)


def test_a_claimed_task_runs_here_with_its_input(workplace: Workplace) -> None:
    worker_id, ledger = at_work(workplace)
    new = waiting(workplace)
    workplace.clock.advance(1)
    now = workplace.clock.now_us()

    (task,) = ledger.claim([dispatch_of(new)])

    assert (task.id, task.state, task.worker_id) == (new.id, State.RUNNING, worker_id)
    assert (task.version, task.attempt, task.input) == (2, 1, new.input)
    assert (task.start_time_us, task.run_deadline_us) == (now, now + 60_000_000)
    assert workplace.read(new.id) == replace(task, input=None)


def test_a_total_timeout_ends_an_attempt_earlier(workplace: Workplace, ledger: Ledger) -> None:
    task = running(workplace, ledger, opts=options(total_timeout=10))

    assert task.run_deadline_us == workplace.clock.now_us() + 10_000_000


def test_a_task_is_claimed_once(workplace: Workplace, ledger: Ledger) -> None:
    dispatch = dispatch_of(waiting(workplace))
    _, other = at_work(workplace)

    assert len(ledger.claim([dispatch, dispatch])) == 1
    assert not ledger.claim([dispatch])
    assert not other.claim([dispatch])


def test_a_group_is_claimed_in_its_order_and_only_what_can_begin(
    workplace: Workplace, ledger: Ledger
) -> None:
    first, taken, last = (waiting(workplace) for _ in range(3))
    late = waiting(workplace, delay_s=60)
    gone = new_task()
    ledger.claim([dispatch_of(taken)])
    group = [dispatch_of(each) for each in (last, gone, taken, late, first)]

    assert [task.id for task in ledger.claim(group)] == [last.id, first.id]


def test_nothing_is_claimed_of_an_empty_group(ledger: Ledger) -> None:
    assert list(ledger.claim([])) == []


@pytest.mark.parametrize(
    "opts", [options(start_timeout=5), options(total_timeout=5)], ids=["start", "total"]
)
def test_a_task_whose_time_is_up_is_not_claimed(
    workplace: Workplace, ledger: Ledger, opts: Any
) -> None:
    new = waiting(workplace, opts=opts)
    workplace.clock.advance(5)

    assert not ledger.claim([dispatch_of(new)])


def test_a_task_that_has_begun_once_has_started_in_time(
    workplace: Workplace, ledger: Ledger
) -> None:
    task = running(workplace, ledger, opts=options(start_timeout=5))
    ledger.settle(recovery.handed_back(task, "a drain")).result(10)
    workplace.clock.advance(6)

    (again,) = ledger.claim([dispatch_of(task, 2)])

    assert (again.attempt, again.handed_back) == (2, 1)


def test_a_task_that_was_handed_back_before_it_began_has_not_started_yet(
    workplace: Workplace, ledger: Ledger
) -> None:
    task = running(workplace, ledger, opts=options(start_timeout=5))
    ledger.settle(recovery.handed_back(task, "no thread", began=False)).result(10)

    assert workplace.read(task.id).start_time_us is None
    workplace.clock.advance(6)
    assert not ledger.claim([dispatch_of(task, 2)])


def test_a_later_attempt_that_never_began_takes_no_start_back(
    workplace: Workplace, ledger: Ledger
) -> None:
    task = running(workplace, ledger, opts=options(start_timeout=5))
    ledger.settle(recovery.handed_back(task, "a drain")).result(10)
    workplace.clock.advance(6)
    (again,) = ledger.claim([dispatch_of(task, 2)])
    ledger.settle(recovery.handed_back(again, "no thread", began=False)).result(10)

    assert workplace.read(task.id).start_time_us == task.start_time_us


def test_a_worker_without_a_lease_claims_nothing(workplace: Workplace, ledger: Ledger) -> None:
    stranger = workplace.ledger(new_id())
    new = waiting(workplace)

    assert not stranger.claim([dispatch_of(new)])
    workplace.clock.advance(TTL_US / 1e6)
    assert not ledger.claim([dispatch_of(new)])
    assert workplace.read(new.id).state == State.QUEUED


def test_a_success_ends_the_task_with_its_result(workplace: Workplace, ledger: Ledger) -> None:
    task = running(workplace, ledger)
    workplace.clock.advance(1)

    ended = ledger.settle(success(task)).result(10)

    assert ended is not None
    assert (ended.state, ended.version, ended.attempt) == (State.SUCCEEDED, 3, 1)
    assert (ended.result, ended.failure) == (Payload("acme.v1.ShrinkResponse", b"done"), None)
    assert ended.end_time_us == workplace.clock.now_us()
    assert ended.worker_id == task.worker_id
    assert workplace.read(task.id) == ended


def test_a_failure_with_budget_left_waits_and_begins_again(
    workplace: Workplace, ledger: Ledger
) -> None:
    task = running(workplace, ledger)

    failed = ledger.settle(failure(task)).result(10)

    assert failed is not None
    assert (failed.state, failed.failure, failed.worker_id) == (State.RETRYING, None, None)
    assert not ledger.claim([dispatch_of(task)])
    workplace.clock.advance(1)
    workplace.make_due()
    (again,) = ledger.claim([dispatch_of(task, 2)])
    assert (again.attempt, again.dispatch) == (2, 2)


def test_the_last_failure_ends_the_task_with_its_error(
    workplace: Workplace, ledger: Ledger
) -> None:
    task = running(workplace, ledger, opts=options(max_attempts=1))

    failed = ledger.settle(failure(task)).result(10)

    assert failed is not None
    assert (failed.state, failed.failure) == (State.FAILED, BROKEN)
    assert workplace.read(task.id) == failed


def test_a_settlement_of_an_old_attempt_changes_nothing(
    workplace: Workplace, ledger: Ledger
) -> None:
    old = running(workplace, ledger)
    ledger.settle(recovery.handed_back(old, "a drain")).result(10)
    (new,) = ledger.claim([dispatch_of(old, 2)])

    assert ledger.settle(success(old)).result(10) is None
    assert workplace.read(old.id) == replace(new, input=None)


def test_an_attempt_is_settled_once(workplace: Workplace, ledger: Ledger) -> None:
    task = running(workplace, ledger)

    answers = [ledger.settle(success(task)), ledger.settle(failure(task))]

    first, second = (answer.result(10) for answer in answers)
    assert first is not None
    assert second is None
    assert workplace.read(task.id) == first


def test_what_does_not_run_or_does_not_exist_cannot_be_settled(
    workplace: Workplace, ledger: Ledger
) -> None:
    task = running(workplace, ledger)
    ledger.settle(recovery.handed_back(task, "a drain")).result(10)

    assert ledger.settle(success(task)).result(10) is None
    assert ledger.settle(success(replace(task, id=new_id()))).result(10) is None


def test_an_end_that_the_state_table_does_not_have_is_refused(
    workplace: Workplace, ledger: Ledger
) -> None:
    task = running(workplace, ledger)
    wrong = replace(success(task), target=State.FAILED)

    assert isinstance(problem_of(ledger.settle(wrong)), ValueError)
    assert workplace.read(task.id).state == State.RUNNING


def test_a_cancelled_attempt_that_stops_is_cancelled(workplace: Workplace, ledger: Ledger) -> None:
    failing, returned, stubborn = (running(workplace, ledger) for _ in range(3))
    for task in (failing, returned, stubborn):
        workplace.cancel(task.id)

    ends = [failure(failing), recovery.handed_back(returned, "a drain"), success(stubborn)]
    ended = [ledger.settle(each).result(10) for each in ends]

    states = [task and task.state for task in ended]
    assert states == [State.CANCELLED, State.CANCELLED, State.SUCCEEDED]
    assert [task and task.failure for task in ended] == [None] * 3
    assert [workplace.read(t.id).cancel_reason for t in (failing, returned)] == ["enough"] * 2


def test_a_running_task_submits_another_once(workplace: Workplace, ledger: Ledger) -> None:
    parent = running(workplace, ledger)
    first, again = child_of(parent), child_of(parent)

    made = [ledger.submit(each, parent.attempt).result(10) for each in (first, again)]

    assert made == [first.id, first.id]
    child = workplace.read(first.id)
    assert (child.state, child.parent, child.generation) == (State.QUEUED, parent.id, 1)
    assert workplace.count() == 2


def test_two_submissions_at_once_of_one_request_id_are_one_task(
    workplace: Workplace, ledger: Ledger
) -> None:
    parent = running(workplace, ledger)

    answers = [ledger.submit(child_of(parent), parent.attempt) for _ in range(3)]

    assert len({answer.result(10) for answer in answers}) == 1
    assert workplace.count() == 2


def test_the_next_attempt_finds_what_the_one_before_has_submitted(
    workplace: Workplace, ledger: Ledger
) -> None:
    parent = running(workplace, ledger)
    made = ledger.submit(child_of(parent), 1).result(10)
    ledger.settle(recovery.handed_back(parent, "a drain")).result(10)
    ledger.claim([dispatch_of(parent, 2)])

    assert ledger.submit(child_of(parent), 2).result(10) == made


def test_a_task_that_is_being_cancelled_may_still_submit(
    workplace: Workplace, ledger: Ledger
) -> None:
    parent = running(workplace, ledger)
    workplace.cancel(parent.id)
    child = child_of(parent)

    assert ledger.submit(child, 1).result(10) == child.id


def test_an_attempt_that_is_over_submits_nothing(workplace: Workplace, ledger: Ledger) -> None:
    parent = running(workplace, ledger)
    ended = running(workplace, ledger)
    ledger.settle(success(ended)).result(10)
    submissions = [
        ledger.submit(child_of(parent), 2),
        ledger.submit(child_of(ended), 1),
        ledger.submit(child_of(replace(parent, id=new_id())), 1),
        ledger.submit(new_task(), 1),
    ]

    assert [type(problem_of(each)) for each in submissions] == [AttemptOver] * 4
    assert workplace.count() == 2


def test_a_request_id_with_other_content_is_refused(workplace: Workplace, ledger: Ledger) -> None:
    parent = running(workplace, ledger)
    ledger.submit(child_of(parent), 1).result(10)

    refused = ledger.submit(child_of(parent, content=b"other"), 1)

    assert isinstance(problem_of(refused), KeyReused)
    assert workplace.count() == 2


def test_a_task_without_a_handler_here_is_sent_again(workplace: Workplace, ledger: Ledger) -> None:
    new = waiting(workplace)
    before = workplace.read(new.id)

    ledger.unhandled([dispatch_of(new), dispatch_of(new_task()), dispatch_of(new)])

    after = workplace.read(new.id)
    assert after == replace(before, dispatch=2)


def test_an_old_dispatch_or_a_running_task_is_not_sent_again(
    workplace: Workplace, ledger: Ledger
) -> None:
    task = running(workplace, ledger)
    waits = waiting(workplace)

    ledger.unhandled([dispatch_of(task), dispatch_of(waits, 7)])

    assert (workplace.read(task.id).dispatch, workplace.read(waits.id).dispatch) == (1, 1)


def test_the_newest_progress_of_the_running_attempt_is_kept(
    workplace: Workplace, ledger: Ledger
) -> None:
    task = running(workplace, ledger)
    rings = [ProgressRing(task.id, 1, Progress(n / 4, n, 4, "", 1)) for n in (1, 2, 3)]
    strange = replace(rings[0], task_id=new_id())

    ledger.progress([*rings, replace(rings[0], attempt=2), strange])

    read = workplace.read(task.id)
    assert read.progress == rings[-1].progress
    assert read.version == task.version


def test_progress_of_an_attempt_before_is_not_shown(workplace: Workplace, ledger: Ledger) -> None:
    task = running(workplace, ledger)
    ledger.progress([ProgressRing(task.id, 1, Progress(0.5, 1, 2, "", 1))])
    ledger.settle(recovery.handed_back(task, "a drain")).result(10)
    ledger.claim([dispatch_of(task, 2)])

    assert workplace.read(task.id).progress is None


def test_a_message_that_is_none_of_ours_is_taken(ledger: Ledger) -> None:
    ledger.refused("images", b"\xff", "It has no shape.")


def test_nothing_is_written_while_the_store_is_away(workplace: Workplace, ledger: Ledger) -> None:
    task = running(workplace, ledger)
    new = waiting(workplace)
    before = [workplace.read(each.id) for each in (task, new)]

    with workplace.away():
        with pytest.raises(StoreUnavailable):
            ledger.claim([dispatch_of(new)])
        ledger.unhandled([dispatch_of(new)])
        ledger.progress([ProgressRing(task.id, 1, Progress(0.5, 1, 2, "", 1))])
        written: list[Future[Any]] = [
            ledger.settle(success(task)),
            ledger.submit(child_of(task), 1),
        ]
        problems = [problem_of(each) for each in written]

    assert [isinstance(each, StoreUnavailable) for each in problems] == [True, True]
    assert [workplace.read(each.id) for each in (task, new)] == before
    assert workplace.count() == 2
    assert len(ledger.claim([dispatch_of(new)])) == 1
    assert ledger.settle(success(task)).result(10) is not None
