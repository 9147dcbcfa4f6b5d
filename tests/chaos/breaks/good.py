"""A story in which every promise is kept, and the register of the ways to break one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from taskwire_core.lifecycle import Event, State
from tests.chaos.history import History
from tests.chaos.records import Fail, Invoke, Ok, Resumed, Told, Unknown
from tests.chaos.remains import Canary, Process, Queue, Scan
from tests.chaos.story import Story, Tale

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
