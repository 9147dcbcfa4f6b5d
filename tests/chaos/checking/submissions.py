"""What became of submissions: I1, I2, I9, I10 and I13."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.chaos.checking.facts import Facts, Operation, is_terminal
from tests.chaos.checking.violation import Finding
from tests.chaos.history import Record
from tests.chaos.records import Ok, Unknown


def acknowledged_tasks_exist(facts: Facts) -> Iterator[Finding]:
    """An acknowledged task is never lost.

    Every task that an answer or a watch has named has a row at the end, unless somebody asked
    to delete it. One whose deletion was confirmed has none.
    """
    named: dict[str, Record] = {}
    for told, answer in facts.tellings:
        named.setdefault(told.task_id, answer)
    for unknown in facts.of(Unknown):
        if unknown.task_id:
            named.setdefault(unknown.task_id, unknown)
    for task_id, record in named.items():
        if task_id not in facts.rows and task_id not in facts.deletions:
            yield Finding("it was acknowledged and is gone", task_id, (record,))
    for task_id, deletions in facts.deletions.items():
        confirmed = [each.outcome for each in deletions if isinstance(each.outcome, Ok)]
        if confirmed and task_id in facts.rows:
            yield Finding("its deletion was confirmed and it is there", task_id, (confirmed[0],))


def all_tasks_end(facts: Facts) -> Iterator[Finding]:
    """Every task ends within a published bound after the faults.

    No task is live at the end but those that are not due yet. None has ended later than the
    header's bound after the last fault was over, the last call was made and it was due.
    """
    assert facts.dumped is not None
    dumped_at, bound = facts.dumped.at, facts.header.recovery_bound_s
    for row, events in facts.tasks():
        since = max(facts.quiet_since, facts.due_at(row))
        if not is_terminal(row.state) and since < dumped_at:
            late = f"{dumped_at - since:.1f} s after the last fault, call or due time"
            sentence = f"it is {row.state} {late}; the bound is {bound:g} s"
            yield Finding(sentence, row.task_id, (row,))
        last = events[-1] if events else None
        # A time behind the dump is that of a clock which is wrong, and no measure.
        if last is None or not last.wall or last.wall > facts.header.wall_at(dumped_at):
            continue
        late_s = last.wall - facts.header.wall_at(since)
        if is_terminal(last.state) and late_s > bound:
            sentence = f"it ended {late_s:.1f} s after the last fault, call or due time"
            yield Finding(f"{sentence}; the bound is {bound:g} s", row.task_id, (last,))


def a_request_is_one_task(facts: Facts) -> Iterator[Finding]:
    """The same request id is the same task.

    All submissions of a request id are told of one task, and one row has it. The request id of
    a task that was deleted may be used again.
    """
    for request_id, operations in facts.by_request.items():
        told = {each.task_id: each for each in operations if each.task_id}
        rows = {row.task_id: row for row in facts.rows_by_request.get(request_id, ())}
        tasks = (told.keys() | rows.keys()) - facts.deletions.keys()
        if len(tasks) > 1:
            records: list[Record] = [each.outcome for each in told.values() if each.outcome]
            yield Finding(
                f"the request id {request_id!r} has made {len(tasks)} tasks",
                min(tasks),
                (*records, *rows.values()),
            )


def unknown_submissions_are_absent_or_complete(facts: Facts) -> Iterator[Finding]:
    """A submission whose outcome nobody knows has happened as a whole or not at all.

    The row of a submission that was not refused has its type and its input. Of a batch that was
    sent as one and whose answer was lost, all tasks are there or none.
    """
    batches: dict[int, list[Operation]] = defaultdict(list)
    for each in facts.submissions:
        if each.invoke.group:
            batches[each.invoke.group].append(each)
        if not each.refused:
            yield from _differences(facts, each)
    for batch in batches.values():
        alone = [each for each in batch if len(facts.by_request[each.invoke.request_id]) == 1]
        kept = [each for each in alone if not facts.deletions.get(each.task_id)]
        there = [each for each in kept if facts.rows_by_request.get(each.invoke.request_id)]
        if 0 < len(there) < len(kept) and any(each.unknown for each in kept):
            sentence = f"of a batch of {len(kept)} tasks {len(there)} are there"
            yield Finding(sentence, records=tuple(each.invoke for each in kept))


def refused_calls_leave_nothing(facts: Facts) -> Iterator[Finding]:
    """A call that was refused has done nothing.

    No row has the request id of submissions that were all refused.
    """
    for request_id, operations in facts.by_request.items():
        rows = facts.rows_by_request.get(request_id, [])
        if rows and all(each.refused for each in operations):
            refusals = [each.outcome for each in operations if each.outcome]
            yield Finding("it was refused and is there", rows[0].task_id, (*refusals, rows[0]))


def _differences(facts: Facts, submission: Operation) -> Iterator[Finding]:
    asked = submission.invoke
    for row in facts.rows_by_request.get(asked.request_id, ()) if asked.request_id else ():
        for name, wanted, found in (
            ("type", asked.type, row.type),
            ("input", asked.input, row.input),
        ):
            if wanted and found and wanted != found:
                sentence = f"its {name} is {found}, and {wanted} was submitted"
                yield Finding(sentence, row.task_id, (asked, row))
