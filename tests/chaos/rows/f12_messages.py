"""F12 and F13: RabbitMQ delivers what it should not, or not as it should."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import pairwise

import pika
from pika.adapters.blocking_connection import BlockingChannel

from taskwire_broker.envelope import MAX_BODY_BYTES, encode
from taskwire_broker.topology import broker_queue, dead_letter_queue
from taskwire_core.ids import from_text, new_id
from taskwire_core.task import Dispatch
from taskwire_db.database import Database
from tests.chaos.cluster import Shape
from tests.chaos.context import Chaos
from tests.chaos.rows.registry import row
from tests.chaos.work import type_of
from tests.support.eventually import eventually

QUEUE = "chaos"
"""That of all chaos tasks."""

_FIRST = {"x-priority": 10}
"""Such a consumer gets every message before those of the workers."""

_KEPT = pika.BasicProperties(delivery_mode=2)


def deployment_of(chaos: Chaos) -> bytes:
    """The id of the cluster's deployment."""
    with closing(Database(chaos.cluster.database_url, writable=False)) as database:
        return database.deployment_id


@contextmanager
def channel_of(chaos: Chaos) -> Iterator[BlockingChannel]:
    """A channel to RabbitMQ, past every proxy."""
    connection = pika.BlockingConnection(pika.URLParameters(chaos.servers.rabbit.url))
    try:
        yield connection.channel()
    finally:
        connection.close()


class Detour:
    """Takes messages from a queue before its workers do, and puts them back as it likes."""

    def __init__(self, channel: BlockingChannel, queue: str, chance: random.Random) -> None:
        self._channel = channel
        self._queue = queue
        self._chance = chance
        self._old: list[bytes] = []
        self.taken = 0
        self.put_back = 0
        self.out_of_order = 0
        """How often a message was put back before one that had come earlier."""

    def once(self, seconds: float) -> None:
        """Take every message for `seconds`; put each back twice, and some once more, shuffled."""
        bodies: list[bytes] = []
        last_tag = 0
        consumed = self._channel.consume(self._queue, arguments=_FIRST, inactivity_timeout=seconds)
        for _ in range(self._chance.randint(5, 40)):
            method, _properties, body = next(consumed)
            if method is None:
                break
            bodies.append(body)
            last_tag = method.delivery_tag
        late = self._chance.sample(self._old, min(len(self._old), 10))
        order = [*range(len(bodies)), *range(len(bodies))]
        self._chance.shuffle(order)
        for body in [*(bodies[index] for index in order), *late]:
            self._channel.basic_publish(
                "", self._queue, body, pika.BasicProperties(delivery_mode=2)
            )
        if last_tag:
            self._channel.basic_ack(last_tag, multiple=True)
        self._channel.cancel()
        self.taken += len(bodies)
        self.put_back += len(order) + len(late)
        self.out_of_order += sum(b < a for a, b in pairwise(order))
        self._old += bodies


@row(
    "F12",
    "Deliveries are doubled, late and out of order",
    needs_s=45,
    shape=Shape(workers=2),
)
def deliveries_doubled(chaos: Chaos) -> None:
    queue = broker_queue(QUEUE, deployment_of(chaos))
    goal = len(chaos.load.known) + 120
    with (
        chaos.fault("doubled, late and out of order", "deliveries"),
        channel_of(chaos) as channel,
    ):
        detour = Detour(channel, queue, chaos.chance)
        while len(chaos.load.known) < goal or detour.taken < 60:
            detour.once(seconds=chaos.chance.uniform(0.1, 1.0))
    assert detour.put_back >= 2 * detour.taken
    assert detour.out_of_order > 20
    task_id = chaos.submit()
    assert chaos.ended(task_id).state == "SUCCEEDED"


def poison(name: str, deployment_id: bytes) -> list[bytes]:
    """Bodies that no consumer of the broker queue `name` should take for a message."""
    dispatch = Dispatch(task_id=new_id(), type=type_of("Work"), queue=QUEUE, number=1)
    good = json.loads(encode(dispatch, deployment_id))
    assert good["queue_name"] == name

    def but(**changed: object) -> bytes:
        return json.dumps({**good, **changed}).encode()

    return [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\x00\xff\xfe" * 100,
        "\ud83d".encode("utf-8", "surrogatepass"),
        b"[" * 10_000,
        json.dumps(good).encode("utf-16"),
        but(options=None),
        but(options={"pipe_target": {}}),
        but(args=[1]),
        but(args=None),
        but(kwargs={}),
        but(kwargs={**good["kwargs"], "task": "../../etc/passwd"}),
        but(kwargs={**good["kwargs"], "dispatch": -1}),
        but(kwargs={**good["kwargs"], "dispatch": 10**30}),
        but(kwargs={**good["kwargs"], "deployment": new_id().hex()}),
        but(queue_name=f"{name}.other"),
        but(queue_name=None),
        but(actor_name=None),
        but(actor_name=""),
        but(message_timestamp="yesterday"),
        b" " * (MAX_BODY_BYTES + 1),
        b"x" * 1_000_000,
    ]


def misnamed(task_id: bytes, deployment_id: bytes) -> list[bytes]:
    """Messages of the right shape about a task, of types that are not its own or unknown."""
    types = [type_of("WorkAsync"), "chaos.v1.ChaosTasks/Unknown", "no actor", "\u0000\u0000\u0000"]
    return [
        encode(Dispatch(task_id=task_id, type=each, queue=QUEUE, number=1), deployment_id)
        for each in types
    ]


@row("F13", "Poison is among the messages", needs_s=20, fast=True)
def poison_messages(chaos: Chaos) -> None:
    deployment_id = deployment_of(chaos)
    name = broker_queue(QUEUE, deployment_id)
    bodies = poison(name, deployment_id) * 2
    misled = [*bodies, *misnamed(new_id(), deployment_id)]
    chaos.chance.shuffle(misled)
    chaos.load.more(10)
    with channel_of(chaos) as channel:
        with chaos.fault("poison", "deliveries"):
            for body in misled:
                channel.basic_publish("", name, body, _KEPT)
            ours = [chaos.submit() for _ in range(5)]
            for task_id in ours:
                for body in misnamed(from_text(task_id), deployment_id):
                    channel.basic_publish("", name, body, _KEPT)
            chaos.load.more(20)
        for task_id in ours:
            assert chaos.ended(task_id).state == "SUCCEEDED"
        kept = dead_letters(channel, dead_letter_queue(name), len(bodies))
    assert Counter(kept) == Counter(bodies)


def dead_letters(channel: BlockingChannel, name: str, count: int) -> list[bytes]:
    """All dead letters, once there are `count`."""
    found: list[bytes] = []

    def all_there() -> bool:
        method, _properties, body = channel.basic_get(name, auto_ack=True)
        if method is not None:
            found.append(body)
        return method is None and len(found) >= count

    eventually(all_there, what=f"{count} dead letters are in {name}")
    return found
