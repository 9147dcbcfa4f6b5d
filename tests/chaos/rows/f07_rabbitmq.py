"""F7 to F11: RabbitMQ is away, has forgotten everything, or closes what was open."""

from __future__ import annotations

import threading

import pika
from pika.exceptions import ChannelClosedByBroker

from tests.chaos.cluster import Shape
from tests.chaos.context import Chaos
from tests.chaos.rows.registry import row
from tests.chaos.work import limited
from tests.support.eventually import eventually
from tests.support.servers import RabbitServer


def waits(chaos: Chaos) -> str:
    """A new task that is acknowledged, and cannot begin while RabbitMQ is away."""
    task_id = chaos.submit()
    chaos.load.more(20)
    assert not chaos.journal.entries(task_id)
    return task_id


@row(
    "F7",
    "RabbitMQ is restarted, killed, and unreachable for 60 s",
    needs_s=150,
    shape=Shape(workers=2),
    breaks=["rabbitmq"],
    recovery_bound_s=90,
)
def rabbitmq_away(chaos: Chaos) -> None:
    rabbit, links = chaos.servers.rabbit, chaos.cluster.links(to="rabbitmq")
    waiting: list[str] = []
    for name, end in (("restarted", rabbit.stop), ("killed", rabbit.kill)):
        chaos.load.more(30)
        with chaos.fault(name, "rabbitmq"):
            end()
            eventually(lambda: links.connections == 0, what="every connection is gone")
            waiting.append(waits(chaos))
            rabbit.start()
    chaos.load.more(30)
    with chaos.fault("unreachable", "rabbitmq"):
        links.blackhole()
        waiting.append(waits(chaos))
        chaos.stay(60)
        assert not chaos.journal.entries(waiting[-1])
        links.heal()
    for task_id in waiting:
        assert chaos.ended(task_id, within=90).state == "SUCCEEDED"


def messages(rabbit: RabbitServer) -> int:
    """How many the broker has, in all queues."""
    lines = rabbit.ctl("list_queues", "messages", "--no-table-headers").split()
    return sum(int(each) for each in lines)


@row(
    "F8",
    "RabbitMQ is wiped with messages in it",
    needs_s=90,
    breaks=["rabbitmq"],
    recovery_bound_s=90,
)
def rabbitmq_wiped(chaos: Chaos) -> None:
    rabbit = chaos.servers.rabbit
    chaos.load.more(20)
    # Nobody takes messages out, so that some are there to be lost.
    chaos.cluster.stop("worker")
    chaos.cluster.start("worker", worker_threads="1")
    waiting = [chaos.submit("Work", 1.0) for _ in range(20)]
    eventually(lambda: messages(rabbit) > 0, what="messages wait in the broker", within=30)
    with chaos.fault("wiped", "rabbitmq"):
        rabbit.wipe()
        rabbit.start()
    for task_id in waiting:
        assert chaos.ended(task_id, within=90).state == "SUCCEEDED"


def alarms(rabbit: RabbitServer) -> str:
    """The broker's alarms, as Erlang writes them; "[]" for none."""
    return rabbit.ctl("eval", "rabbit_alarm:get_alarms().").strip()


@row(
    "F9",
    "RabbitMQ raises its memory alarm",
    needs_s=60,
    breaks=["rabbitmq"],
)
def memory_alarm(chaos: Chaos) -> None:
    rabbit = chaos.servers.rabbit
    chaos.load.more(20)
    with chaos.fault("memory alarm", "rabbitmq"):
        rabbit.ctl("set_vm_memory_high_watermark", "absolute", "1")
        eventually(lambda: "memory" in alarms(rabbit), within=30, what="the alarm is on")
        task_id = chaos.submit()
        chaos.load.more(50)
        chaos.stay(10)
        assert not chaos.journal.entries(task_id)
        rabbit.ctl("set_vm_memory_high_watermark", "0.9")
        eventually(lambda: alarms(rabbit) == "[]", within=30, what="the alarm is off")
    assert chaos.ended(task_id).state == "SUCCEEDED"


class PatientConsumer:
    """A consumer that holds one message: what RabbitMQ's consumer_timeout is there for."""

    def __init__(self, rabbit: RabbitServer) -> None:
        self.closed = threading.Event()
        self._url = rabbit.url
        threading.Thread(target=self._hold, daemon=True).start()

    def _hold(self) -> None:
        with pika.BlockingConnection(pika.URLParameters(self._url)) as connection:
            channel = connection.channel()
            queue = channel.queue_declare("", exclusive=True).method.queue
            channel.basic_publish("", queue, b"held")
            try:
                for _ in channel.consume(queue):
                    pass
            except ChannelClosedByBroker:
                self.closed.set()


@row(
    "F10",
    "RabbitMQ's consumer_timeout is 60 s, and tasks take 3 minutes",
    needs_s=270,
    breaks=["rabbitmq"],
)
def consumer_timeout(chaos: Chaos) -> None:
    rabbit = chaos.servers.rabbit
    with chaos.fault("consumer_timeout of 60 s", "rabbitmq"):
        rabbit.ctl("eval", "application:set_env(rabbit, consumer_timeout, 60000).")
        # The channels of the consumers that are there have read the setting before.
        rabbit.close_all_connections()
        patient = PatientConsumer(rabbit)
        chaos.load.more(20)
        long = [chaos.submit("Work", 180, deaf=True, overrides=limited(300)) for _ in range(3)]
        for task_id in long:
            chaos.journal.begun(task_id)
        for task_id in long:
            assert chaos.ended(task_id, within=240).state == "SUCCEEDED"
        assert patient.closed.wait(60), "the time-out is not in force"
    for task_id in long:
        assert [each.what for each in chaos.journal.entries(task_id)] == ["begin", "end"]


@row(
    "F11",
    "Channels are closed in the middle of tasks, again and again",
    needs_s=75,
    shape=Shape(workers=2),
    breaks=["rabbitmq"],
)
def channels_closed(chaos: Chaos) -> None:
    rabbit, links = chaos.servers.rabbit, chaos.cluster.links("worker", "rabbitmq")
    chaos.load.more(20)
    running = [chaos.submit("Work", 20, deaf=True) for _ in range(3)]
    for task_id in running:
        chaos.journal.begun(task_id)
    closings = (rabbit.close_all_connections, links.reset, links.cut)
    for number in range(6):
        accepted = links.accepted
        chaos.recorder.begin_fault("closed channels", "rabbitmq")
        closings[number % len(closings)]()
        eventually(lambda: links.accepted >= accepted + 2, within=30, what="they connect again")  # noqa: B023  # called before the next
        chaos.load.more(20)
    for task_id in running:
        assert chaos.ended(task_id).state == "SUCCEEDED"
        assert [each.what for each in chaos.journal.entries(task_id)] == ["begin", "end"]
