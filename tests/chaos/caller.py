"""One caller of a load: a client that does one thing after the other, as its seed decides."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, TypeVar

from tests.chaos.aside import Aside
from tests.chaos.journal import JournalReader
from tests.chaos.recording import RecordingClient
from tests.chaos.records import Fail, Ok, Outcome, Unknown
from tests.chaos.work import Kind, messages, new_request_id, submission_of, type_of, work

Operation = Literal[
    "submit", "again", "batch", "stream", "durable", "cancel", "watch", "watch many", "run",
    "get", "list", "retry", "delete",
]  # fmt: skip

OPERATIONS: Mapping[Operation, int] = {
    "submit": 12, "again": 2, "batch": 2, "stream": 1, "durable": 5, "cancel": 3, "watch": 5,
    "watch many": 1, "run": 1, "get": 2, "list": 1, "retry": 1, "delete": 1,
}  # fmt: skip
KINDS: Mapping[Kind, int] = {"Work": 10, "WorkAsync": 5, "WorkApart": 1, "WorkOnce": 1}

_GIVES_UP = 0.1
"""How often a caller leaves a call whose outcome it does not know, for somebody to wonder."""

_WANDERS = 0.1
"""How often a caller goes on to the next gateway by itself. If only those went whose gateway has
failed, nobody would be left at one that was restarted."""

_SUBMITTING = {"submit", "batch", "stream", "durable", "retry"}
_BACKLOG = 150
"""So many tasks may wait. A load beyond what the machine can do would show its limits alone."""
_SUBMITS_BEHIND = 0.03
"""How often a caller submits all the same: a load must not end while no worker is there."""

_PASSING = {"UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "ABORTED"}

Choice = TypeVar("Choice")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a load does and how much: weights of operations and kinds, pauses and durations."""

    callers: int = 3
    pause_s: float = 0.05
    """Between two operations of a caller, on average."""
    longest_s: float = 0.3
    """The longest task."""
    aside: int = 16
    """How many watches and durable calls are open at the same time, at most."""
    operations: Mapping[Operation, int] = field(default_factory=lambda: OPERATIONS)
    kinds: Mapping[Kind, int] = field(default_factory=lambda: KINDS)


class Known:
    """The tasks that callers know of, since somebody was told of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: list[str] = []
        self._all: set[str] = set()
        self._dropped: set[str] = set()

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, outcome: Outcome) -> None:
        """Whatever an answer names is known from now on."""
        if not isinstance(outcome, Ok):
            return
        with self._lock:
            new = [each.task_id for each in outcome.told if each.task_id not in self._all]
            self._all.update(new)
            self._ids += new

    def drop(self, task_id: str) -> None:
        """Nobody waits for this task to begin any more: it was cancelled, or deleted."""
        with self._lock:
            self._dropped.add(task_id)

    def older(self) -> list[str]:
        """Those that were new some time ago and were not dropped; none while there are few."""
        with self._lock:
            return [
                each for each in self._ids[-2 * _BACKLOG : -_BACKLOG] if each not in self._dropped
            ]

    def some(self, chance: random.Random, count: int = 1) -> list[str]:
        """Up to `count` of them, rather the new ones."""
        with self._lock:
            recent = self._ids[-200:]
        return chance.sample(recent, min(count, len(recent)))


class Caller:
    """Calls through `clients`, now one and now the next, until `ended` is set."""

    def __init__(
        self,
        clients: Sequence[RecordingClient],
        chance: random.Random,
        plan: Plan,
        known: Known,
        journal: JournalReader,
        ended: threading.Event,
        aside: Aside,
    ) -> None:
        self._clients = clients
        self._turn = chance.randrange(len(clients))
        self._chance = chance
        self._plan = plan
        self._known = known
        self._journal = journal
        self._ended = ended
        self._aside = aside
        self._sent: list[tuple[str, Any]] = []

    def run(self) -> None:
        """One operation after the other."""
        while not self._ended.is_set():
            self._turn += self._chance.random() < _WANDERS
            operation = self._choice(self._plan.operations)
            if operation not in _SUBMITTING or not self._behind() or self._submits_behind():
                getattr(self, f"_{operation.replace(' ', '_')}")()
            self._ended.wait(self._chance.expovariate(1 / self._plan.pause_s))

    def _behind(self) -> bool:
        """Whether most of the older tasks still wait."""
        older = self._known.older()
        return self._journal.how_many_begun(older) < len(older) / 2

    def _submits_behind(self) -> bool:
        return self._chance.random() < _SUBMITS_BEHIND

    # What makes tasks.

    def _submit(self) -> None:
        self._send(new_request_id(self._chance), self._input(self._kind()))

    def _again(self) -> None:
        if self._sent:
            self._send(*self._chance.choice(self._sent))

    def _send(self, request_id: str, input: Any) -> None:
        delay = self._delay(request_id)
        answered = self._until_answered(
            lambda client: [client.submit(input, request_id=request_id, delay=delay)]
        )
        if answered:
            self._sent = [*self._sent[-50:], (request_id, input)]

    def _batch(self) -> None:
        count = self._chance.randint(2, 12)
        requests = [self._request() for _ in range(count)]
        partial = self._chance.random() < 0.5
        self._until_answered(
            lambda client: client.submit_batch(requests, allow_partial_success=partial)
        )

    def _stream(self) -> None:
        requests = [self._request() for _ in range(self._chance.randint(5, 30))]
        self._until_answered(lambda client: list(client.submit_many(requests)))

    def _durable(self) -> None:
        """A call that waits for its task does not keep the caller from going on."""
        kind = self._kind()
        request_id, request = new_request_id(self._chance), self._input(kind)
        tries = self._chance.randint(1, 8)

        def call() -> Iterator[Outcome]:
            for _ in range(tries):
                outcome = self._client.call(
                    type_of(kind), request, messages().WorkResponse, request_id=request_id
                )
                self._known.add(outcome)
                yield outcome
                if self._ended.is_set() or not _is_open(outcome):
                    return

        self._aside.open(call)

    def _retry(self) -> None:
        request_id = new_request_id(self._chance)
        for task_id in self._known.some(self._chance):
            self._until_answered(lambda client: [client.retry(task_id, request_id=request_id)])  # noqa: B023  # called before the next

    # What is done with tasks.

    def _cancel(self) -> None:
        for task_id in self._known.some(self._chance):
            self._client.cancel(task_id, "chaos")
            self._known.drop(task_id)

    def _run(self) -> None:
        for task_id in self._known.some(self._chance):
            self._client.run(task_id)

    def _delete(self) -> None:
        for task_id in self._known.some(self._chance):
            self._client.delete(task_id)
            self._known.drop(task_id)

    def _get(self) -> None:
        for task_id in self._known.some(self._chance):
            self._client.get(task_id)

    def _list(self) -> None:
        self._client.list_tasks(self._chance.choice(["", "state = QUEUED", "state = RUNNING"]))

    def _watch(self) -> None:
        client = self._client
        for task_id in self._known.some(self._chance):
            self._aside.open(lambda: client.watch(task_id))  # noqa: B023  # called before the next

    def _watch_many(self) -> None:
        client, ids = self._client, self._known.some(self._chance, 10)
        if ids:
            self._aside.open(lambda: client.watch_tasks(ids))

    # How.

    @property
    def _client(self) -> RecordingClient:
        return self._clients[self._turn % len(self._clients)]

    def _until_answered(self, call: Callable[[RecordingClient], list[Outcome]]) -> bool:
        """Call under the same request ids until nothing is open, or the caller gives up."""
        while True:
            outcomes = call(self._client)
            for outcome in outcomes:
                self._known.add(outcome)
            if not any(map(_is_open, outcomes)):
                return all(isinstance(each, Ok) for each in outcomes)
            self._turn += 1
            if self._chance.random() < _GIVES_UP or self._ended.wait(0.1):
                return False

    def _request(self) -> Any:
        request_id = new_request_id(self._chance)
        return submission_of(
            self._input(self._kind()), request_id=request_id, delay=self._delay(request_id)
        )

    def _delay(self, request_id: str) -> timedelta | None:
        """The same for the same request, or it would be another one."""
        number = int(request_id[:4], 16)
        return timedelta(milliseconds=number % 3000) if number % 10 == 0 else None

    def _kind(self) -> Kind:
        return self._choice(self._plan.kinds)

    def _input(self, kind: Kind) -> Any:
        chance = self._chance
        script: dict[str, Any] = {"key": f"load{chance.getrandbits(32):08x}"}
        match chance.random():
            case lucky if lucky < 0.10:
                script["failures"] = chance.randint(1, 2)
            case lucky if lucky < 0.13:
                script["fails"] = True
            case lucky if lucky < 0.16:
                script["submits"] = "child"
            case lucky if lucky < 0.20:
                script["deaf"] = True
            case lucky if lucky < 0.30:
                script |= {"ballast": chance.randbytes(9000), "result_bytes": 9000}
        seconds = min(self._plan.longest_s, chance.expovariate(4 / self._plan.longest_s))
        return work(kind, seconds, **script)

    def _choice(self, weights: Mapping[Choice, int]) -> Choice:
        return self._chance.choices(list(weights), list(weights.values()))[0]


def _is_open(outcome: Outcome) -> bool:
    """Whether asking again may help."""
    return isinstance(outcome, Unknown) or (isinstance(outcome, Fail) and outcome.code in _PASSING)
