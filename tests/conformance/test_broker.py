"""How work travels, the same over both types of RabbitMQ's queues and in memory.

With Dramatiq's own Worker.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from taskwire_broker.envelope import encode
from taskwire_broker.patience import Patience
from taskwire_core.ids import to_text
from taskwire_core.queue_type import QueueType
from taskwire_core.task import Dispatch
from tests.support.brokers import (
    QUEUE,
    Answers,
    EmbeddedTravel,
    RabbitTravel,
    Travel,
    dispatches,
    worker_threads,
    working,
)
from tests.support.eventually import eventually, eventually_async
from tests.support.intake import FakeIntake, Ledger


@pytest.fixture(
    params=["embedded", *(pytest.param(each, marks=pytest.mark.servers) for each in QueueType)]
)
def travel(request: pytest.FixtureRequest, deployment_id: bytes) -> Travel:
    if request.param == "embedded":
        return EmbeddedTravel(deployment_id)
    url = request.getfixturevalue("rabbit").url
    return RabbitTravel(url, deployment_id, QueueType(request.param))


def put(travel: Travel, sent: list[Dispatch]) -> None:
    for queue in {each.queue for each in sent}:
        bodies = [encode(each, travel.deployment_id) for each in sent if each.queue == queue]
        travel.put(*bodies, queue=queue)


def ids(sent: list[Dispatch]) -> list[str]:
    return [to_text(each.task_id) for each in sent]


async def test_a_published_dispatch_is_confirmed_and_waits_in_its_queue(travel: Travel) -> None:
    answers = Answers()
    publisher = travel.publisher(answers)
    await publisher.start()
    await eventually_async(lambda: answers.connects == 1 and publisher.connected)
    sent = [*dispatches(3), *dispatches(2, queue="other")]

    publisher.publish(sent)

    assert answers.count == 0, "answers never come inside the call"
    await eventually_async(lambda: sorted(answers.confirmed, key=sent.index) == sent)
    assert travel.ready() == 3
    assert travel.ready("other") == 2
    await publisher.close(1)


async def test_many_more_dispatches_than_the_window_are_each_answered_once(travel: Travel) -> None:
    answers = Answers()
    publisher = travel.publisher(answers)
    await publisher.start()
    await eventually_async(lambda: publisher.connected)
    sent = dispatches(5000)

    for start in range(0, 5000, 500):
        publisher.publish(sent[start : start + 500])
    assert publisher.unanswered == 5000

    await eventually_async(lambda: answers.count >= 5000, within=30)
    assert set(answers.confirmed) == set(sent)
    assert answers.count == 5000
    assert publisher.unanswered == 0
    await publisher.close(1)


async def test_closing_a_publisher_waits_for_what_is_open(travel: Travel) -> None:
    answers = Answers()
    publisher = travel.publisher(answers)
    await publisher.start()
    await eventually_async(lambda: publisher.connected)
    sent = dispatches(200)

    publisher.publish(sent)
    await publisher.close(10)

    assert len(answers.confirmed) == 200
    publisher.publish(dispatches(1))
    await eventually_async(lambda: len(answers.refused) == 1)


def test_every_message_is_claimed_acknowledged_and_run_once(travel: Travel) -> None:
    intake = FakeIntake(slots=10_000)
    sent = dispatches(500)
    put(travel, sent)

    with working(travel.broker(intake)) as ran:
        eventually(lambda: len(ran.tasks) == 500)

    assert sorted(ran.tasks) == sorted(ids(sent))
    assert len(intake.groups) < 250, "claims go in groups"
    assert travel.ready() == 0


def test_a_message_whose_claim_is_lost_is_acknowledged_and_not_run(travel: Travel) -> None:
    ledger = Ledger()
    first, second = dispatches(2)
    ledger.claim([first])
    put(travel, [first, second])

    with working(travel.broker(FakeIntake(slots=10, ledger=ledger))) as ran:
        eventually(lambda: ran.tasks == [to_text(second.task_id)])

    assert travel.ready() == 0
    assert travel.dead_letters() == 0


def test_the_same_dispatch_twice_runs_once(travel: Travel) -> None:
    (sent,) = dispatches(1)
    put(travel, [sent, sent])
    put(travel, [sent, *dispatches(1)])

    with working(travel.broker(FakeIntake(slots=10))) as ran:
        eventually(lambda: len(ran.tasks) == 2)

    assert ran.tasks.count(to_text(sent.task_id)) == 1
    assert travel.ready() == 0


def changed(change: Callable[[dict[str, object]], object]) -> Callable[[bytes], bytes]:
    def apply(body: bytes) -> bytes:
        fields = json.loads(body)
        change(fields)
        return json.dumps(fields).encode()

    return apply


POISON: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"",
    "not JSON": lambda _: b"\x80\x04N.",
    "not an object": lambda _: b"[]",
    "cut off": lambda body: body[:-20],
    "deeply nested": lambda _: b'{"x":' + b"[" * 8000 + b"]" * 8000 + b"}",
    "too large": lambda body: body[:-1] + b" " * 20_000 + b"}",
    "options are null": changed(lambda f: f.update(options=None)),
    "options with an eta": changed(lambda f: f.update(options={"eta": 1})),
    "another queue": changed(lambda f: f.update(queue_name="default")),
    "a list for a name": changed(lambda f: f.update(actor_name=["x"])),
    "no task": changed(lambda f: f.update(kwargs={})),
    "not a task id": changed(lambda f: f["kwargs"].update(task="1234")),  # type: ignore[attr-defined]
    "a dispatch of 0": changed(lambda f: f["kwargs"].update(dispatch=0)),  # type: ignore[attr-defined]
    "another deployment": changed(lambda f: f["kwargs"].update(deployment="00" * 16)),  # type: ignore[attr-defined]
}


def test_poison_is_recorded_as_a_dead_letter_and_the_queue_moves_on(travel: Travel) -> None:
    intake = FakeIntake(slots=100)
    good = dispatches(len(POISON) + 1)
    bodies = [encode(each, travel.deployment_id) for each in good]
    for body, spoil in zip(bodies, POISON.values(), strict=False):
        travel.put(spoil(body), body)
    travel.put(bodies[-1])

    with working(travel.broker(intake)) as ran:
        threads = set(worker_threads())
        eventually(lambda: len(ran.tasks) == len(good))
        eventually(lambda: len(intake.rejected) == len(POISON))
        assert set(worker_threads()) == threads, "no thread died"

    assert {queue for queue, _, _ in intake.rejected} == {QUEUE}
    eventually(lambda: travel.dead_letters() == len(POISON))
    assert travel.ready() == 0


def test_without_free_slots_deliveries_go_to_an_idle_second_worker(travel: Travel) -> None:
    ledger = Ledger()
    busy, idle = FakeIntake(slots=1, ledger=ledger), FakeIntake(slots=100, ledger=ledger)
    sent = dispatches(20)
    put(travel, sent)

    first = travel.broker(busy, Patience(hold=0.3))
    with working(first) as long_running:
        eventually(lambda: len(long_running.tasks) == 1)
        with working(travel.broker(idle)) as other:
            eventually(lambda: len(other.tasks) == 19, within=30)
            assert first.held == 0

    assert sorted(long_running.tasks + other.tasks) == sorted(ids(sent))


def test_a_worker_takes_again_as_soon_as_a_slot_is_free(travel: Travel) -> None:
    intake = FakeIntake(slots=1)
    put(travel, dispatches(3))
    broker = travel.broker(intake, Patience(hold=0.1))

    with working(broker) as ran:
        eventually(lambda: len(ran.tasks) == 1 and broker.held == 0)
        eventually(lambda: travel.ready() == 2)
        intake.finish()
        eventually(lambda: len(ran.tasks) == 2)
        intake.finish()
        eventually(lambda: len(ran.tasks) == 3)


def test_slots_are_never_overfilled_by_two_queues_at_once(travel: Travel) -> None:
    intake = FakeIntake(slots=7)
    put(travel, [*dispatches(20), *dispatches(20, queue="other")])
    broker = travel.broker(intake, Patience(hold=0.2))

    with working(broker, queues=[QUEUE, "other"]) as ran:
        eventually(lambda: travel.ready() + travel.ready("other") == 33)
        eventually(lambda: len(ran.tasks) == 7)
        assert intake.free(QUEUE) == 0


def test_a_group_is_no_larger_than_the_free_slots(travel: Travel) -> None:
    intake = FakeIntake(slots=4)
    put(travel, dispatches(100))

    with working(travel.broker(intake), then=intake.finish) as ran:
        eventually(lambda: len(ran.tasks) == 100)

    assert max(intake.groups) <= 4


def test_while_the_store_is_away_nothing_is_acknowledged_and_all_goes_on_after(
    travel: Travel,
) -> None:
    intake = FakeIntake(slots=100)
    intake.store_away = True
    sent = dispatches(10)
    put(travel, sent)
    broker = travel.broker(intake, Patience(store=0.5))

    with working(broker) as ran:
        eventually(lambda: broker.held > 0)
        eventually(lambda: broker.held == 0 and travel.ready() == 10)
        intake.store_away = False
        eventually(lambda: sorted(ran.tasks) == sorted(ids(sent)))


def test_a_defect_in_the_intake_ends_no_thread_and_loses_nothing(travel: Travel) -> None:
    intake = FakeIntake(slots=100)
    intake.broken = True
    put(travel, dispatches(5))
    broker = travel.broker(intake)

    with working(broker) as ran:
        threads = set(worker_threads())
        eventually(lambda: broker.held == 5)
        intake.broken = False
        eventually(lambda: len(ran.tasks) == 5)
        assert set(worker_threads()) == threads


def test_a_drain_gives_back_what_is_unclaimed_and_takes_nothing_more(travel: Travel) -> None:
    intake = FakeIntake(slots=2)
    begun, finish = threading.Semaphore(0), threading.Event()

    def long_task() -> None:
        begun.release()
        finish.wait(20)

    put(travel, dispatches(10))
    broker = travel.broker(intake, Patience(hold=30))
    with working(broker, then=long_task):
        assert begun.acquire(timeout=10)
        assert begun.acquire(timeout=10)
        eventually(lambda: broker.held == 8)

        assert broker.drain(5)

        assert broker.held == 0
        eventually(lambda: travel.ready() == 8)
        intake.finish(10)
        put(travel, dispatches(1))
        eventually(lambda: travel.ready() == 9)
        finish.set()
    assert len(intake.mine) == 2
    assert travel.ready() == 9


def test_an_actor_that_raises_changes_nothing_at_the_broker(travel: Travel) -> None:
    def fail() -> None:
        raise ValueError("the handler's wrapper should have caught this")

    put(travel, dispatches(3))
    with working(travel.broker(FakeIntake(slots=10)), then=fail) as ran:
        eventually(lambda: len(ran.tasks) == 3)

    assert travel.ready() == 0
    assert travel.dead_letters() == 0


def test_two_deployments_on_one_broker_never_meet(travel: Travel) -> None:
    stranger = replace(dispatches(1)[0])
    other = uuid.uuid4().bytes
    mine = dispatches(1)
    put(travel, mine)
    if isinstance(travel, RabbitTravel):
        theirs = RabbitTravel(travel.url, other, travel.queue_type)
        theirs.put(encode(stranger, other))

    with working(travel.broker(FakeIntake(slots=10))) as ran:
        eventually(lambda: ran.tasks == ids(mine))

    assert travel.dead_letters() == 0
    if isinstance(travel, RabbitTravel):
        assert theirs.ready() == 1


def test_actors_cannot_be_sent_messages_past_the_gateway(travel: Travel) -> None:
    broker = travel.broker(FakeIntake(slots=1))
    with working(broker):
        (actor,) = broker.actors.values()
        with pytest.raises(RuntimeError, match="through the gateway"):
            actor.send()
