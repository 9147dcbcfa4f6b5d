"""Histories in which another promise is broken: about answers, requests and what is left."""

from __future__ import annotations

import msgspec

from taskwire_core.lifecycle import Event, State
from tests.chaos.breaks.good import BREAKS, SECRET, Break, Good, breaks, told_of
from tests.chaos.checking.residue import MORE_RSS_BYTES, TASKS_METRIC
from tests.chaos.history import History
from tests.chaos.records import Fail, Invoke, Ok, Told
from tests.chaos.remains import Counter, Metric, Process, Queue, Scan
from tests.chaos.story import replaced


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
