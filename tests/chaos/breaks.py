"""Histories in which one promise is broken each, for the tests of the checker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from taskwire_core.lifecycle import Event, State
from tests.chaos.checking import check
from tests.chaos.checking.residue import MORE_RSS_BYTES, TASKS_METRIC
from tests.chaos.history import History
from tests.chaos.records import Fail, Invoke, Ok, Resumed, Seen, Told, Unknown
from tests.chaos.remains import Canary, Counter, Metric, Process, Queue, Scan
from tests.chaos.story import TYPE, Story, Tale, replaced

SECRET = "canary-4f1d"


@dataclass(slots=True)
class Good:
    """A story in which everything is broken that may be, and every promise is kept."""

    story: Story
    plain: Tale
    batch: tuple[Tale, Tale]
    retried: Tale
    cancelled: Tale
    watch: int


def good() -> Good:
    """The story."""
    story = Story()
    story.records.append(Canary(SECRET))
    plain = story.task("durable")
    story.run(plain)
    story.ask("get", plain)
    group = story.number()
    batch = (story.task("batch", group=group, lost=True), story.task("batch", group=group))
    for each in batch:
        story.run(each)
    retried = story.task("stream", scheduled=True)
    watch = story.watch(retried, plain)
    story.see(watch, plain)
    story.move(retried, Event.DUE, State.QUEUED)
    story.claim(retried)
    story.see(watch, retried)
    kill = story.fault()
    story.records.append(Resumed(story.tick(), watch, "the connection broke"))
    story.lose(retried)
    story.claim(retried)
    story.write(retried, "end", attempt=1)
    story.end_fault(kill)
    story.succeed(retried)
    story.see(watch, retried)
    story.end_watch(watch)
    cancelled = story.task(scheduled=True)
    story.move(cancelled, Event.CANCEL, State.CANCELLED)
    story.ask("cancel", cancelled)
    story.forget(deleted := story.task())
    number = story.number()
    story.records += [
        Invoke(story.tick(), number, "delete", task_id=deleted.task_id),
        Ok(story.tick(), number),
        Invoke(story.tick(), number + 1000, "submit", "refused"),
        Fail(story.tick(), number + 1000, "INVALID_ARGUMENT", "FIELD_VIOLATION"),
        Invoke(story.tick(), number + 2000, "submit", "absent"),
        Unknown(story.tick(), number + 2000, "DEADLINE_EXCEEDED"),
        Process("gateway", "before", 1, 30, 10, 4, 100 << 20),
        Process("gateway", "after", 1, 33, 12, 5, 110 << 20),
        Queue("journal", 0),
        Scan("the gateway's log", 100),
    ]
    return Good(story, plain, batch, retried, cancelled, watch)


Break = Callable[[Good], History]

BREAKS: dict[str, tuple[str, Break]] = {}
"""By name: the invariant that is broken, and how."""


def breaks(number: str) -> Callable[[Break], Break]:
    """Registers a function that tells the good story on so that one promise is broken."""

    def register(function: Break) -> Break:
        BREAKS[function.__name__] = (number, function)
        return function

    return register


def told_of(story: Story, tale: Tale, told: Told) -> None:
    """A read of the task was answered with this."""
    answer = story.ask("get", tale)
    story.records[-1] = msgspec.structs.replace(answer, told=(told,))


@breaks("I1")
def an_acknowledged_task_is_gone(good: Good) -> History:
    good.story.forget(good.cancelled)
    return good.story.history()


@breaks("I1")
def a_task_is_gone_of_which_an_interrupted_call_was_told(good: Good) -> History:
    story = good.story
    number = story.number()
    story.records += [
        Invoke(story.tick(), number, "durable", "interrupted"),
        Unknown(story.tick(), number, "DEADLINE_EXCEEDED", "DEADLINE_PASSED", task_id="gone"),
    ]
    return story.history()


@breaks("I1")
def a_deleted_task_is_there(good: Good) -> History:
    story = good.story
    answer = story.ask("delete", good.cancelled)
    story.records[-1] = Ok(answer.at, answer.op)
    return story.history()


@breaks("I2")
def a_task_has_not_ended(good: Good) -> History:
    good.story.claim(good.story.task())
    return good.story.history()


@breaks("I2")
def a_task_ended_too_late(good: Good) -> History:
    late = good.story.task()
    good.story.claim(late)
    good.story.at += 1000
    good.story.succeed(late)
    return good.story.history()


@breaks("I3")
def a_version_is_missing(good: Good) -> History:
    event = next(e for e in good.retried.events if e.event == Event.DUE)
    return replaced(good.story.history(), event)


@breaks("I3")
def a_version_is_there_twice(good: Good) -> History:
    event = good.cancelled.events[0]
    return replaced(good.story.history(), event, event, event)


@breaks("I3")
def a_transition_is_not_in_the_table(good: Good) -> History:
    tale = good.story.task()
    good.story.move(tale, Event.CANCEL, State.EXPIRED)
    return good.story.history()


@breaks("I3")
def the_row_is_elsewhere(good: Good) -> History:
    history = good.story.history()
    row = good.story.row(good.cancelled)
    return replaced(history, row, msgspec.structs.replace(row, version=row.version + 1))


@breaks("I4")
def something_follows_the_end(good: Good) -> History:
    tale = good.story.task()
    good.story.move(tale, Event.CANCEL, State.CANCELLED)
    good.story.move(tale, Event.CANCEL, State.CANCELLED)
    return good.story.history()


@breaks("I5")
def the_result_is_that_of_the_first_attempt(good: Good) -> History:
    good.retried.result = "result-1"
    history = good.story.history()
    for record in history.records:
        if isinstance(record, Seen) and record.result == "result-2":
            shown = msgspec.structs.replace(record, result="result-1")
            history = replaced(history, record, shown)
    return history


@breaks("I5")
def somebody_was_told_of_the_first_attempts_result(good: Good) -> History:
    story, tale = good.story, good.retried
    told_of(story, tale, Told(tale.task_id, tale.version, "SUCCEEDED", "result-1"))
    return story.history()


@breaks("I5")
def a_success_has_no_result(good: Good) -> History:
    tale = good.story.task()
    good.story.run(tale)
    tale.result = "none"
    return good.story.history()


@breaks("I5")
def an_attempt_succeeded_that_never_returned(good: Good) -> History:
    history = good.story.history()
    end = next(
        r
        for r in history.records
        if getattr(r, "what", "") == "end" and getattr(r, "task_id", "") == good.plain.task_id
    )
    return replaced(history, end)


@breaks("I6")
def an_attempt_is_begun_twice(good: Good) -> History:
    good.story.write(good.plain, "begin")
    return good.story.history()


@breaks("I6")
def a_number_is_claimed_twice(good: Good) -> History:
    story = good.story
    tale = story.task()
    story.move(tale, Event.CLAIM, State.RUNNING)
    story.lose(tale)
    tale.attempt -= 1
    story.move(tale, Event.CLAIM, State.RUNNING)
    story.move(tale, Event.FINAL_ERROR, State.FAILED)
    return story.history()


@breaks("I6")
def what_nobody_has_claimed_is_begun(good: Good) -> History:
    good.story.write(good.plain, "begin", attempt=2)
    return good.story.history()


@breaks("I6")
def what_is_at_most_once_is_begun_twice(good: Good) -> History:
    row = good.story.row(good.retried)
    return replaced(good.story.history(), row, msgspec.structs.replace(row, at_most_once=True))


@breaks("I7")
def two_attempts_run_at_once(good: Good) -> History:
    story = good.story
    tale = story.task()
    story.claim(tale)
    story.move(tale, Event.HANDED_BACK, State.QUEUED)
    story.claim(tale)
    story.write(tale, "end", attempt=1)
    story.succeed(tale)
    return story.history()


@breaks("I7")
def an_overrun_attempt_goes_on_in_a_process(good: Good) -> History:
    story = good.story
    tale = story.task()
    story.claim(tale)
    story.move(tale, Event.TIMED_OUT, State.RETRYING)
    story.move(tale, Event.DUE, State.QUEUED)
    story.claim(tale)
    story.write(tale, "end", attempt=1)
    story.succeed(tale)
    history = story.history()
    assert not check(history), "it may in a thread"
    header = msgspec.structs.replace(history.header, isolated_types=(TYPE,))
    return History(header, history.records)


@breaks("I8")
def a_watch_repeats_a_version(good: Good) -> History:
    watch = good.story.watch(good.plain)
    good.story.see(watch, good.plain)
    good.story.see(watch, good.plain)
    good.story.end_watch(watch)
    return good.story.history()


@breaks("I8")
def a_watch_shows_a_state_that_never_was(good: Good) -> History:
    tale = good.cancelled
    told_of(good.story, tale, Told(tale.task_id, 1, "RUNNING"))
    return good.story.history()


@breaks("I8")
def a_watch_ends_before_the_end_was_shown(good: Good) -> History:
    watch = good.story.watch(good.plain, good.retried)
    good.story.see(watch, good.plain)
    good.story.end_watch(watch)
    return good.story.history()


@breaks("I8")
def a_watch_never_ends(good: Good) -> History:
    watch = good.story.watch(good.plain)
    good.story.see(watch, good.plain)
    return good.story.history()


@breaks("I8")
def a_call_was_told_of_another_end(good: Good) -> History:
    told_of(good.story, good.plain, Told(good.plain.task_id, state="FAILED"))
    return good.story.history()


@breaks("I9")
def two_answers_to_a_request_name_two_tasks(good: Good) -> History:
    story = good.story
    other = story.task()
    story.run(other)
    history = story.history()
    asked = next(
        r for r in history.records if isinstance(r, Invoke) and r.request_id == other.request_id
    )
    row = story.row(other)
    again = msgspec.structs.replace(asked, request_id=good.plain.request_id)
    history = replaced(history, asked, again)
    return replaced(history, row, msgspec.structs.replace(row, request_id=""))


@breaks("I9")
def two_rows_have_a_request_id(good: Good) -> History:
    story = good.story
    twin = story.task()
    story.run(twin)
    twin.request_id = good.plain.request_id
    story.records = [
        r for r in story.records if getattr(r, "request_id", "") != f"r{twin.task_id[1:]}"
    ]
    number = int(twin.task_id[1:])
    story.records = [r for r in story.records if not (isinstance(r, Ok) and r.op == number)]
    return story.history()


@breaks("I10")
def an_unknown_submission_has_another_input(good: Good) -> History:
    tale = good.batch[0]
    row = good.story.row(tale)
    return replaced(good.story.history(), row, msgspec.structs.replace(row, input="none"))


@breaks("I10")
def half_a_batch_is_there(good: Good) -> History:
    story = good.story
    group = story.number()
    one, other = (story.task("batch", group=group, lost=True) for _ in range(2))
    story.run(one)
    story.forget(other)
    return story.history()


@breaks("I12")
def a_cancelled_task_begins(good: Good) -> History:
    story = good.story
    tale = story.task()
    story.move(tale, Event.CLAIM, State.RUNNING)
    story.move(tale, Event.HANDED_BACK, State.QUEUED)
    story.move(tale, Event.CANCEL, State.CANCELLED)
    story.ask("cancel", tale)
    story.write(tale, "begin")
    return story.history()


@breaks("I13")
def a_refused_submission_is_there(good: Good) -> History:
    story = good.story
    tale = story.task()
    story.run(tale)
    history = story.history()
    answer = next(r for r in history.records if isinstance(r, Ok) and r.op == int(tale.task_id[1:]))
    return replaced(history, answer, Fail(answer.at, answer.op, "RESOURCE_EXHAUSTED"))


def left_behind(**more: int) -> Break:
    def break_it(good: Good) -> History:
        after = Process("gateway", "after", 1, 33, 12, 5, 110 << 20)
        return replaced(good.story.history(), after, msgspec.structs.replace(after, **more))

    return break_it


@breaks("I14")
def a_queue_is_not_empty(good: Good) -> History:
    good.story.records.append(Queue("other", 0, 3))
    return good.story.history()


@breaks("I15")
def a_counter_is_wrong(good: Good) -> History:
    history = good.story.history()
    counter = next(r for r in history.records if isinstance(r, Counter))
    return replaced(history, counter, msgspec.structs.replace(counter, count=counter.count + 1))


@breaks("I15")
def a_metric_is_missing(good: Good) -> History:
    history = good.story.history()
    metric = next(r for r in history.records if isinstance(r, Metric) and r.name == TASKS_METRIC)
    return replaced(history, metric)


@breaks("I16")
def a_log_shows_a_secret(good: Good) -> History:
    good.story.records.append(Scan("the worker's log", 3, (SECRET,)))
    return good.story.history()


@breaks("I16")
def an_answer_shows_a_secret(good: Good) -> History:
    number = good.story.number()
    good.story.records += [
        Invoke(good.story.tick(), number, "get", task_id=good.plain.task_id),
        Fail(good.story.tick(), number, "INTERNAL", message=f"no {SECRET}"),
    ]
    return good.story.history()


@breaks("I16")
def a_metric_shows_a_secret(good: Good) -> History:
    good.story.records.append(Metric("worker", "some", 1, {"type": SECRET}))
    return good.story.history()


for _what, _number in (
    ("fds", 90),
    ("threads", 60),
    ("connections", 40),
    ("rss_bytes", (131 << 20) + MORE_RSS_BYTES),
):
    BREAKS[f"too_many_{_what}"] = ("I14", left_behind(**{_what: _number}))
