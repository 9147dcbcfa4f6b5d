"""Very many tasks, put straight into the tables, such as a year of work would leave behind.

Twelve types, of which one is rare and all old; 93 of 100 tasks have succeeded; what waits is new.
Nine in ten are of the user that asks. Each has a customer, one of two thousand, the first of
whom have the most tasks, an environment, and now and then the number of an incident.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from itertools import islice
from types import MappingProxyType

from taskwire_core.failure import Code, Failure, FailureKind
from taskwire_core.lifecycle import State
from taskwire_core.options import TaskOptions
from taskwire_db import codec
from taskwire_db.database import Database
from taskwire_db.group import RowInsert
from taskwire_db.models import (
    task_counters,
    task_events,
    task_inputs,
    task_labels,
    task_outcomes,
    tasks,
)

START_US = 1_750_000_000_000_000
GAP_US = 30_000_000
TYPES = [f"acme.area{n % 4}.v1.Area{n % 4}Tasks/DoThing{n}" for n in range(12)]
WEIGHTS = [30, 20, 12, 10, 8, 7, 5, 4, 2, 1.5, 0.5, 0]
RARE_TYPE = TYPES[-1]
RARE = 20
STATES = {
    State.SUCCEEDED: 92.9,
    State.FAILED: 3.0,
    State.CANCELLED: 1.0,
    State.EXPIRED: 0.1,
    State.QUEUED: 2.4,
    State.SCHEDULED: 0.5,
    State.RETRYING: 0.09,
    State.RUNNING: 0.01,
}
ENVIRONMENTS = {"prod": 70, "staging": 24, "dev": 5, "qa": 1}
CUSTOMERS = 2_000
OWNER = "dev"
GROUP = 5_000


def insert_many(
    database: Database, count: int, states: Mapping[State, float] = MappingProxyType(STATES)
) -> None:
    """Record `count` tasks and count them."""
    chance = random.Random(7)
    rows = (_Row(chance, number, count, states) for number in range(count))
    counts: Counter[tuple[str, str, str, int]] = Counter()
    while group := list(islice(rows, GROUP)):
        with database.transaction() as tx:
            options = {q: tx.options_id(TaskOptions(queue=q)) for q in {row.queue for row in group}}
            for table, made in (
                (tasks, [row.task(options[row.queue]) for row in group]),
                (task_inputs, [(row.id, "acme.Input", b"\x0a\x28" + b"x" * 40) for row in group]),
                (task_outcomes, [row.outcome() for row in group if row.has_outcome]),
                (task_labels, [(k, v, row.id) for row in group for k, v in row.labels.items()]),
                (task_events, [row.event() for row in group]),
            ):
                RowInsert(table).run(tx.connection, made)
        counts.update((row.type, row.queue, row.owner, row.state) for row in group)
        database.checkpoint()
    with database.transaction() as tx:
        RowInsert(task_counters).run(tx.connection, [(*key, 0, n) for key, n in counts.items()])


class _Row:
    """One task, with what belongs to it."""

    def __init__(
        self, chance: random.Random, number: int, count: int, states: Mapping[State, float]
    ) -> None:
        self.created = START_US + number * GAP_US
        # The id of its time, as `new_id` makes them.
        self.id = (self.created // 1000).to_bytes(6) + b"\x70\x00\x80" + chance.randbytes(7)
        rare = number % (count // 4 // RARE) == 0 and number < count // 4
        self.type = RARE_TYPE if rare else chance.choices(TYPES, WEIGHTS)[0]
        self.queue = f"queue{TYPES.index(self.type) % 4}"
        self.owner = OWNER if chance.random() < 0.9 else f"user{chance.randrange(9)}"
        self.state = chance.choices(list(states), list(states.values()))[0]
        self.updated = self.created + chance.randrange(3_600_000_000)
        self.labels = {
            "customer": f"c{int(CUSTOMERS * chance.random() ** 2):04}",
            "env": chance.choices(list(ENVIRONMENTS), list(ENVIRONMENTS.values()))[0],
        }
        if chance.random() < 30 / count:
            self.labels["incident"] = "i-1"
        self.labels_text = codec.encode_labels(self.labels)
        self.attempt = 0 if self.state in (State.QUEUED, State.SCHEDULED) else 1
        self.attempt += int(self.state == State.FAILED) * chance.randrange(5)

    @property
    def has_outcome(self) -> bool:
        return self.state in (State.SUCCEEDED, State.FAILED)

    def task(self, options_id: int) -> tuple[object, ...]:
        ended = self.updated if self.state.terminal else None
        values = {
            "id": self.id,
            "type": self.type,
            "queue": self.queue,
            "owner": self.owner,
            "state": int(self.state),
            "version": 3 if self.state.terminal else 1,
            "attempt": self.attempt,
            "handed_back": 0,
            "crashes": 0,
            "solo": 0,
            "priority": 2,
            "options_id": options_id,
            "attempt_timeout": 60_000_000,
            "result_ttl": 604_800_000_000,
            "create_time": self.created,
            "schedule_time": self.created,
            "not_before": self.created + 10**15,
            "update_time": self.updated,
            "start_time": ended,
            "end_time": ended,
            "dispatch": 1,
            "cancel_requested": 0,
            "labels": self.labels_text,
            "generation": 0,
            "follow_up_count": 0,
        }
        return tuple(values.get(column.name) for column in tasks.columns)

    def outcome(self) -> tuple[object, ...]:
        if self.state == State.SUCCEEDED:
            return (self.id, "acme.Output", b"\x0a\x1e" + b"y" * 30, None)
        return (self.id, None, None, _FAILURE)

    def event(self) -> tuple[object, ...]:
        return (self.id, 1, 2, 0, "submit", self.created, None, self.owner, None, None)


_FAILURE = codec.encode_failure(
    Failure(FailureKind.APPLICATION, Code.UNKNOWN, "R", "It failed.", type="builtins.ValueError")
)
