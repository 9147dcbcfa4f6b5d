"""What the events of a task say: I3, I4 and I6."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from taskwire_core.lifecycle import Event, State, targets
from tests.chaos.checking.facts import Facts, is_terminal
from tests.chaos.checking.violation import Finding
from tests.chaos.remains import TaskEvent, TaskRow


def versions_and_transitions_are_right(facts: Facts) -> Iterator[Finding]:
    """The versions of a task are 1, 2, 3 and so on, each by a transition of the state table.

    A task's events have these versions without a gap or a repetition, each leads from the state
    before it to a state that the table of taskwire_core.lifecycle allows for it, and the row is
    where the last one has led.
    """
    for row, events in facts.tasks():
        numbers = [event.version for event in events]
        if not events or numbers != list(range(1, len(events) + 1)):
            yield Finding(f"its versions are {numbers}", row.task_id, tuple(events))
        elif (wrong := _wrong_transition(events)) is not None:
            yield wrong
        elif (events[-1].version, events[-1].state) != (row.version, row.state):
            sentence = f"its row is {row.state} in version {row.version}, its events say otherwise"
            yield Finding(sentence, row.task_id, (events[-1], row))


def nothing_follows_the_end(facts: Facts) -> Iterator[Finding]:
    """A task reaches exactly one terminal state.

    No event of a task comes after one that has ended it.
    """
    for row, events in facts.tasks():
        for before, after in pairwise(events):
            if is_terminal(before.state):
                sentence = f"after its end as {before.state} it became {after.state}"
                yield Finding(sentence, row.task_id, (before, after))


def an_attempt_starts_once(facts: Facts) -> Iterator[Finding]:
    """Code runs again only as a new attempt; what is to begin at most once does.

    A task's claims have the attempts 1, 2, 3 and so on, and no other event changes the number. A
    handler begins each attempt at most once, only when it was claimed, and in all at most one of
    a task that is `at_most_once`.
    """
    for row, events in facts.tasks():
        yield from _wrong_numbers(row, events)
        yield from _wrong_begins(facts, row, events)


def _wrong_transition(events: Sequence[TaskEvent]) -> Finding | None:
    state: State | None = None
    before: tuple[TaskEvent, ...] = ()
    for event in events:
        after = State[event.state]
        # What follows an end is another invariant's.
        ended = state is not None and state.terminal
        if not ended and after not in targets(state, Event(event.event)):
            begin = state.name if state else "nothing"
            sentence = f"no {event.event} leads from {begin} to {event.state}"
            return Finding(sentence, event.task_id, (*before, event))
        state, before = after, (event,)
    return None


def _wrong_numbers(row: TaskRow, events: Sequence[TaskEvent]) -> Iterator[Finding]:
    attempt = 0
    for event in events:
        expected = attempt + int(event.event == Event.CLAIM)
        if event.attempt != expected:
            sentence = f"its {event.event} has the attempt {event.attempt} instead of {expected}"
            yield Finding(sentence, row.task_id, (event,))
            return
        attempt = event.attempt


def _wrong_begins(facts: Facts, row: TaskRow, events: Sequence[TaskEvent]) -> Iterator[Finding]:
    begins = [entry for entry in facts.journal.get(row.task_id, ()) if entry.what == "begin"]
    claimed = {event.attempt for event in events if event.event == Event.CLAIM}
    for attempt, count in Counter(entry.attempt for entry in begins).items():
        records = tuple(entry for entry in begins if entry.attempt == attempt)
        if count > 1:
            yield Finding(f"attempt {attempt} was begun {count} times", row.task_id, records)
        elif attempt not in claimed:
            yield Finding(f"attempt {attempt} was begun unclaimed", row.task_id, records)
    if row.at_most_once and len({entry.attempt for entry in begins}) > 1:
        yield Finding("it is at_most_once and was begun again", row.task_id, tuple(begins))
