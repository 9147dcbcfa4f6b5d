"""What handlers did, beside what the store says: I5, I7 and I12."""

from __future__ import annotations

from collections.abc import Iterator

from taskwire_core.lifecycle import Event
from tests.chaos.checking.facts import Facts, is_terminal
from tests.chaos.checking.violation import Finding
from tests.chaos.records import Journal, Ok
from tests.chaos.remains import TaskEvent, TaskRow


def results_are_those_of_the_last_attempt(facts: Facts) -> Iterator[Finding]:
    """No result of an old attempt is ever visible.

    A task that has SUCCEEDED has the result that its handler has returned in the attempt of its
    terminal event, a task that has not has none, and nobody was ever told of another result.
    """
    for row, events in facts.tasks():
        succeeded = row.state == "SUCCEEDED"
        if row.result and (row.result != "none") != succeeded:
            yield Finding(f"it is {row.state}, its result is {row.result}", row.task_id, (row,))
        elif succeeded and events:
            yield from _of_another_attempt(facts, row, events[-1])
    for told, record in facts.tellings:
        found = facts.rows.get(told.task_id)
        if found is not None and told.result and found.result not in ("", told.result):
            sentence = f"somebody was told of the result {told.result}"
            yield Finding(sentence, told.task_id, (record, found))


def executions_overlap_only_when_cut_off(facts: Facts) -> Iterator[Finding]:
    """Two attempts of a task run at the same time only when the older one was given up.

    A handler begins an attempt while one of a lower number still runs only if the lease of that
    one's worker had expired, or its run deadline had passed and it runs in a thread.
    """
    for task_id in facts.rows:
        begins = {e.attempt: e for e in facts.journal.get(task_id, ()) if e.what == "begin"}
        for end in facts.journal.get(task_id, ()):
            if end.what == "begin" or end.attempt not in begins:
                continue
            began = begins[end.attempt]
            over = [
                other
                for other in begins.values()
                if other.attempt > end.attempt and began.at <= other.at < end.at
            ]
            if over and not facts.may_overlap(task_id, end.attempt):
                sentence = f"attempt {over[0].attempt} was begun while {end.attempt} ran"
                yield Finding(sentence, task_id, (began, over[0], end))


def cancelled_tasks_never_start(facts: Facts) -> Iterator[Finding]:
    """After a confirmed cancel of a waiting task it never starts.

    Of a task that a cancel has ended while it waited, no handler begins an attempt after the
    answer, but for an attempt that was lost with its worker before.
    """
    for each in facts.operations:
        answer = each.outcome
        if each.invoke.call != "cancel" or not isinstance(answer, Ok):
            continue
        for told in answer.told:
            if told.state == "CANCELLED" and _ended_by_cancel(facts, told.task_id):
                yield from _late_begins(facts, told.task_id, answer)


def _of_another_attempt(facts: Facts, row: TaskRow, end: TaskEvent) -> Iterator[Finding]:
    if row.attempt != end.attempt and is_terminal(end.state):
        sentence = f"its row has the attempt {row.attempt}, its end {end.attempt}"
        yield Finding(sentence, row.task_id, (row, end))
        return
    entries = facts.journal.get(row.task_id)
    if not entries:
        return
    returned = [e for e in entries if e.what == "end" and e.attempt == end.attempt]
    if not returned:
        sentence = f"its attempt {end.attempt} has succeeded and never returned"
        yield Finding(sentence, row.task_id, (end, *entries))
    elif row.result and not any(e.result in ("", row.result) for e in returned):
        sentence = f"its result is not what its attempt {end.attempt} has returned"
        yield Finding(sentence, row.task_id, (row, *returned))


def _ended_by_cancel(facts: Facts, task_id: str) -> bool:
    events = facts.events.get(task_id, [])
    return bool(events) and (events[-1].event, events[-1].state) == (Event.CANCEL, "CANCELLED")


def _late_begins(facts: Facts, task_id: str, answer: Ok) -> Iterator[Finding]:
    late: list[Journal] = [
        entry
        for entry in facts.journal.get(task_id, ())
        if entry.what == "begin"
        and entry.at > answer.at
        and not facts.may_overlap(task_id, entry.attempt)
    ]
    if late:
        sentence = f"its attempt {late[0].attempt} was begun after its cancel was confirmed"
        yield Finding(sentence, task_id, (answer, *late))
