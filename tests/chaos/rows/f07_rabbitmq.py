"""F7 to F11: RabbitMQ is away, has forgotten everything, or closes what was open."""

from __future__ import annotations

from tests.chaos.cluster import Shape
from tests.chaos.context import Chaos
from tests.chaos.rows.registry import row
from tests.support.eventually import eventually


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
