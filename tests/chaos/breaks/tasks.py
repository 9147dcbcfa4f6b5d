"""Histories in which a promise about tasks and their attempts is broken: I1 to I7."""

from __future__ import annotations

import msgspec

from taskwire_core.lifecycle import Event, State
from tests.chaos.breaks.good import Good, breaks, told_of
from tests.chaos.checking import check
from tests.chaos.history import History
from tests.chaos.records import Invoke, Ok, Seen, Told, Unknown
from tests.chaos.story import TYPE, replaced


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
def a_task_has_no_events(good: Good) -> History:
    tale = good.story.task(lost=True)
    good.story.move(tale, Event.CANCEL, State.CANCELLED)
    history = good.story.history()
    for event in tale.events:
        history = replaced(history, event)
    return history


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
def a_failure_has_a_result(good: Good) -> History:
    tale = good.story.task()
    good.story.claim(tale)
    good.story.move(tale, Event.FINAL_ERROR, State.FAILED)
    tale.result = "result-1"
    return good.story.history()


@breaks("I5")
def the_row_is_of_another_attempt_than_its_end(good: Good) -> History:
    row = good.story.row(good.retried)
    return replaced(good.story.history(), row, msgspec.structs.replace(row, attempt=1))


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
