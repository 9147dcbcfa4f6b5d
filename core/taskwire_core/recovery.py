"""What becomes of a task whose attempt has failed, timed out or lost its worker.

Decisions only: the store writes them with a compare-and-set, whoever made them.
"""

from __future__ import annotations

import random

from msgspec import Struct

from taskwire_core.failure import Failure, poison, timed_out, worker_lost
from taskwire_core.lifecycle import Event, State
from taskwire_core.retry import MAX_CRASHES, Budget, backoff_us
from taskwire_core.task import Payload, Task


class Settlement(Struct, frozen=True):
    """How attempt `attempt` of a task ends.

    `target` is the state if the task is still RUNNING; a CANCELLING one becomes CANCELLED,
    or SUCCEEDED on success. `not_before_us` is set for RETRYING, `result` for SUCCEEDED,
    `failure` for RETRYING and FAILED. `crashes` and `solo` replace the task's own. `never_began`
    says that no attempt of the task has.
    """

    task_id: bytes
    attempt: int
    event: Event
    target: State
    not_before_us: int | None = None
    result: Payload | None = None
    failure: Failure | None = None
    crashes: int = 0
    solo: bool = False
    message: str = ""
    never_began: bool = False


def succeeded(task: Task, result: Payload) -> Settlement:
    """The handler returned `result`."""
    return Settlement(
        task_id=task.id,
        attempt=task.attempt,
        event=Event.SUCCESS,
        target=State.SUCCEEDED,
        result=result,
        crashes=task.crashes,
    )


def handed_back(task: Task, why: str, *, began: bool = True) -> Settlement:
    """The attempt is given back unused; only a task that may begin again is handed back.

    `task` is as it was claimed. If its handler has certainly not `began`, its start time-out goes
    on, unless an earlier attempt may have ended that.
    """
    first = task.start_time_us == task.update_time_us
    return Settlement(
        task_id=task.id,
        attempt=task.attempt,
        event=Event.HANDED_BACK,
        target=State.QUEUED,
        crashes=task.crashes,
        solo=task.solo,
        message=why,
        never_began=first and not began,
    )


def failed(
    task: Task,
    failure: Failure,
    *,
    now_us: int,
    delay_us: int | None = None,
    event: Event | None = None,
    crashes: int | None = None,
    solo: bool = False,
) -> Settlement:
    """The attempt ended with `failure`: RETRYING when it may run again, else FAILED.

    `delay_us` replaces the policy's backoff. A retry that could only begin after the total
    time-out is not made: the task fails now, with the error that it has.
    """
    budget = budget_of(task)
    wait = delay_us
    if wait is None:
        failures = max(1, task.attempt - task.handed_back)
        chance = random.random()  # noqa: S311  # jitter is no secret
        wait = backoff_us(task.options.retry, failures=failures, chance=chance)
    retry = (
        failure.retryable
        and not task.options.at_most_once
        and budget.allows_retry_at(now_us + wait)
    )
    fallback = Event.RETRYABLE_ERROR if retry else Event.FINAL_ERROR
    return Settlement(
        task_id=task.id,
        attempt=task.attempt,
        event=event or fallback,
        target=State.RETRYING if retry else State.FAILED,
        not_before_us=now_us + wait if retry else None,
        failure=failure,
        crashes=task.crashes if crashes is None else crashes,
        solo=solo and retry,
    )


def lost(task: Task, *, now_us: int, alone: bool) -> Settlement:
    """The process that ran the attempt is gone.

    A task that shared its process may be innocent: it runs next alone. One that was `alone` in
    it counts a crash; the third is poison. Who loses a whole worker says False: a task that
    ran alone there had a child process of its own, which went with the worker.
    """
    crashes = task.crashes + 1 if alone else task.crashes
    failure = poison() if crashes >= MAX_CRASHES else worker_lost()
    return failed(task, failure, now_us=now_us, event=Event.LOST, crashes=crashes, solo=True)


def overran(task: Task, *, now_us: int) -> Settlement:
    """The attempt did not end by its run deadline: attempt_timeout, or total_timeout."""
    total = task.total_deadline_us is not None and now_us >= task.total_deadline_us
    failure = timed_out("total_timeout" if total else "attempt_timeout")
    return failed(task, failure, now_us=now_us, event=Event.TIMED_OUT)


def waited_too_long(task: Task, *, now_us: int) -> tuple[State, Failure | None]:
    """Where a waiting task goes whose start or total time-out has passed.

    EXPIRED when it never began (safe to submit again), else FAILED with a time-out.
    """
    if task.start_time_us is None:
        return State.EXPIRED, None
    return State.FAILED, timed_out("total_timeout")


def budget_of(task: Task) -> Budget:
    """What `task` has used of its attempts."""
    return Budget(
        attempt=task.attempt,
        handed_back=task.handed_back,
        max_attempts=task.options.retry.max_attempts,
        total_deadline_us=task.total_deadline_us,
    )
