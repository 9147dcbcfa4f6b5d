"""What watchers and readers were told: I8."""

from __future__ import annotations

from collections.abc import Iterator

from tests.chaos.checking.facts import Facts, WatchRun, is_terminal
from tests.chaos.checking.violation import Finding
from tests.chaos.records import Seen


def what_was_told_is_true(facts: Facts) -> Iterator[Finding]:
    """A watch is a strictly increasing run of real states that ends with the terminal one.

    In one watch the versions of a task increase, over interruptions too; a watch that ended OK
    has shown the end of each of its tasks; one that was neither left nor refused has ended when
    its tasks had done so for as long as the recovery bound. Each version and state that anybody
    was told, by a watch or by an answer, is an event of the task.
    """
    for told, record in facts.tellings:
        row = facts.rows.get(told.task_id)
        if row is None:
            continue
        if not told.version:
            real = told.state in ("", row.state)
        else:
            events = facts.events[told.task_id]
            real = any((e.version, e.state) == (told.version, told.state) for e in events)
        if not real:
            sentence = f"somebody was told that it is {told.state} in version {told.version}"
            yield Finding(sentence, told.task_id, (record, row))
    for run in facts.watches:
        yield from _steps_back(run)
        yield from _missed_ends(facts, run)


def _steps_back(run: WatchRun) -> Iterator[Finding]:
    newest: dict[str, int] = {}
    for seen in run.seen:
        if seen.removed:
            continue
        version = newest.get(seen.task_id, run.begin.after_version)
        if seen.version <= version:
            sentence = f"a watch showed version {seen.version} after version {version}"
            yield Finding(sentence, seen.task_id, (run.begin, seen))
        newest[seen.task_id] = seen.version


def _missed_ends(facts: Facts, run: WatchRun) -> Iterator[Finding]:
    if run.end is None:
        yield from _never_over(facts, run)
    elif run.end.status == "OK":
        last = {seen.task_id: seen for seen in run.seen}
        for task_id in run.begin.task_ids:
            if not _end_is_known(facts, run, task_id, last.get(task_id)):
                sentence = "a watch ended OK and has not shown its end"
                yield Finding(sentence, task_id, (run.begin, run.end))


def _end_is_known(facts: Facts, run: WatchRun, task_id: str, last: Seen | None) -> bool:
    if task_id in facts.deletions:
        return True
    row = facts.rows.get(task_id)
    seen_before = row is not None and 0 < run.begin.after_version == row.version
    return seen_before or (last is not None and is_terminal(last.state))


def _never_over(facts: Facts, run: WatchRun) -> Iterator[Finding]:
    assert facts.dumped is not None
    quiet_s = facts.dumped.at - max(facts.quiet_since, run.begin.at)
    if not run.begin.task_ids or quiet_s <= facts.header.recovery_bound_s:
        return
    rows = [facts.rows.get(task_id) for task_id in run.begin.task_ids]
    if all(row is None or is_terminal(row.state) for row in rows):
        sentence = "a watch has not ended, and all of its tasks have"
        yield Finding(sentence, run.begin.task_ids[0], (run.begin,))
