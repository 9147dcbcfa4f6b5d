"""Whatever may happen by the state table is found to be good, and whatever spoils it is caught."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskwire_core.lifecycle import HELD, TRANSITIONS, Event, State, Transition
from tests.chaos.checking import check
from tests.chaos.history import History
from tests.chaos.records import Journal, Line, Ok, Seen
from tests.chaos.remains import Counter, Dumped, TaskEvent, TaskRow
from tests.chaos.story import Story, Tale, replaced

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
"""A history is long, and the machine may be busy."""

_LONGEST = 25
"""A task that has moved so often ends as soon as the table lets it."""

Drawn = TypeVar("Drawn")

_ORDER = sorted(TRANSITIONS, key=lambda t: (t.source or 0, t.event, t.target))


class Wanderer:
    """Tells a story by drawing every step; attempts that were given up may go on for a while."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data
        self.story = Story()
        self._watches: dict[str, int] = {}
        self._going_on: list[tuple[Tale, int]] = []

    def wander(self) -> Story:
        """Some tasks, one step of one of them after the other, until all have ended."""
        live = [self._submit() for _ in range(self._draw(st.integers(1, 4)))]
        while live:
            tale = self._draw(st.sampled_from(live))
            self._move(tale)
            self._look(tale)
            if tale.state is not None and tale.state.terminal:
                self._end(tale)
                live.remove(tale)
        for tale, attempt in self._going_on:
            self.story.write(tale, "end", attempt)
        return self.story

    def _draw(self, strategy: st.SearchStrategy[Drawn]) -> Drawn:
        return self._data.draw(strategy)

    def _submit(self) -> Tale:
        scheduled, lost = self._draw(st.booleans()), self._draw(st.booleans())
        tale = self.story.task(scheduled=scheduled, lost=lost)
        if self._draw(st.booleans()):
            self._watches[tale.task_id] = self.story.watch(tale)
        return tale

    def _move(self, tale: Tale) -> None:
        steps = [step for step in _ORDER if step.source == tale.state]
        if tale.version > _LONGEST:
            steps = [step for step in steps if step.target.terminal] or steps
        step = self._draw(st.sampled_from(steps))
        if tale.state in HELD and step.target not in HELD:
            self._leave(tale, step)
        self.story.move(tale, step.event, step.target)
        if step.event == Event.CLAIM and self._draw(st.booleans()):
            self.story.write(tale, "begin")

    def _leave(self, tale: Tale, step: Transition) -> None:
        """The handler's last line, if it was begun and does not go on."""
        begun = self._begun(tale)
        if step.event == Event.SUCCESS:
            if not begun:
                self.story.write(tale, "begin")
            self.story.write(tale, "end")
            tale.result = f"result-{tale.attempt}"
        elif begun and step.event in (Event.LOST, Event.TIMED_OUT):
            if self._draw(st.booleans()):
                self._going_on.append((tale, tale.attempt))
        elif begun:
            self.story.write(tale, self._draw(st.sampled_from(["cancelled", "raised"])))

    def _begun(self, tale: Tale) -> bool:
        return any(
            isinstance(r, Journal) and (r.task_id, r.attempt) == (tale.task_id, tale.attempt)
            for r in self.story.records
        )

    def _look(self, tale: Tale) -> None:
        watch = self._watches.get(tale.task_id)
        assert tale.state is not None
        if watch is not None and (tale.state.terminal or self._draw(st.booleans())):
            self.story.see(watch, tale)
        if self._draw(st.booleans()):
            self.story.ask("get", tale)

    def _end(self, tale: Tale) -> None:
        if tale.task_id in self._watches:
            self.story.end_watch(self._watches[tale.task_id])
        if tale.state == State.CANCELLED:
            self.story.ask("cancel", tale)


Some = TypeVar("Some", bound=Line)
Spoil = Callable[[History, st.DataObject], History]


def some(history: History, data: st.DataObject, kind: type[Some]) -> Some | None:
    """One of the records of a kind, if there are any."""
    found = [record for record in history.records if isinstance(record, kind)]
    return data.draw(st.sampled_from(found)) if found else None


def lose_an_event(history: History, data: st.DataObject) -> History:
    event = some(history, data, TaskEvent)
    assert event is not None
    return replaced(history, event)


def double_an_event(history: History, data: st.DataObject) -> History:
    event = some(history, data, TaskEvent)
    assert event is not None
    return replaced(history, event, event, event)


def swap_two_versions(history: History, data: st.DataObject) -> History:
    first = some(history, data, TaskEvent)
    assert first is not None
    for second in history.records:
        if (
            isinstance(second, TaskEvent)
            and second.task_id == first.task_id
            and second.version == first.version + 1
        ):
            earlier = msgspec.structs.replace(second, version=first.version)
            later = msgspec.structs.replace(first, version=second.version)
            return replaced(replaced(history, first, later), second, earlier)
    return lose_an_event(history, data)


def begin_an_attempt_again(history: History, data: st.DataObject) -> History:
    entry = some(history, data, Journal)
    if entry is None:
        return lose_an_event(history, data)
    again = msgspec.structs.replace(entry, what="begin", result="")
    return replaced(history, entry, entry, again, again)


def lose_a_task(history: History, data: st.DataObject) -> History:
    answer = some(history, data, Ok)
    if answer is None:
        return lose_an_event(history, data)
    lost = answer.told[0].task_id
    return History(
        history.header,
        tuple(
            record
            for record in history.records
            if not (isinstance(record, TaskRow | TaskEvent) and record.task_id == lost)
        ),
    )


def let_an_old_result_win(history: History, data: st.DataObject) -> History:
    row = some(history, data, TaskRow)
    assert row is not None
    result = "none" if row.state == "SUCCEEDED" else "result-0"
    return replaced(history, row, msgspec.structs.replace(row, result=result))


def leave_a_task_live(history: History, data: st.DataObject) -> History:
    row = some(history, data, TaskRow)
    assert row is not None
    events = [e for e in history.records if isinstance(e, TaskEvent) and e.task_id == row.task_id]
    before = events[-2]
    left = replaced(history, events[-1])
    return replaced(
        left,
        row,
        msgspec.structs.replace(row, version=before.version, state=before.state, result="none"),
    )


def show_a_version_twice(history: History, data: st.DataObject) -> History:
    seen = some(history, data, Seen)
    return lose_an_event(history, data) if seen is None else replaced(history, seen, seen, seen)


def go_on_after_the_end(history: History, data: st.DataObject) -> History:
    row = some(history, data, TaskRow)
    assert row is not None
    version = row.version + 1
    late = TaskEvent(row.task_id, version, "FAILED", Event.FINAL_ERROR, row.attempt)
    moved = msgspec.structs.replace(row, version=version, state="FAILED", result="none")
    return replaced(history, row, moved, late)


def cut_it_short(history: History, data: st.DataObject) -> History:
    return replaced(history, next(r for r in history.records if isinstance(r, Dumped)))


def miscount(history: History, data: st.DataObject) -> History:
    counter = some(history, data, Counter)
    assert counter is not None
    return replaced(history, counter, msgspec.structs.replace(counter, count=counter.count + 1))


SPOILS: list[Spoil] = [
    lose_an_event,
    double_an_event,
    swap_two_versions,
    begin_an_attempt_again,
    lose_a_task,
    let_an_old_result_win,
    leave_a_task_live,
    show_a_version_twice,
    go_on_after_the_end,
    cut_it_short,
    miscount,
]


@settings(max_examples=150, deadline=None, suppress_health_check=SLOW)
@given(st.data())
def test_what_the_state_table_allows_is_good(data: st.DataObject) -> None:
    assert check(Wanderer(data).wander().history()) == []


@settings(max_examples=250, deadline=None, suppress_health_check=SLOW)
@given(st.data(), st.sampled_from(SPOILS))
def test_whatever_spoils_a_good_history_is_caught(data: st.DataObject, spoil: Spoil) -> None:
    assert check(spoil(Wanderer(data).wander().history(), data))
