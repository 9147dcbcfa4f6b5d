"""F19 and F20: links that are slow and lossy, or pass bytes in one direction only."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence

from tests.chaos.cluster import Shape
from tests.chaos.context import Chaos
from tests.chaos.links import Links
from tests.chaos.proxies import BOTH, Proxy
from tests.chaos.records import Ok
from tests.chaos.rows.registry import row
from tests.support.eventually import eventually

LOSSY_S = 30.0
ONE_WAY_S = 8.0


@row(
    "F19",
    "All links are slow, lossy and cut at random",
    needs_s=60,
    shape=Shape(workers=2),
)
def lossy_links(chaos: Chaos) -> None:
    chaos.load.more(10)
    links = list(chaos.cluster.links())
    done: Counter[str] = Counter()
    with chaos.fault("slow and lossy", "all links"):
        end = time.monotonic() + LOSSY_S
        while time.monotonic() < end or min(done["cut"], done["reset"]) < 5:
            done[disturb(chaos.chance.choice(links), chaos.chance)] += 1
            chaos.stay(chaos.chance.uniform(0.05, 0.5))
        chaos.cluster.links().heal()
    assert done["slow"] > 0
    chaos.load.more(20)


def disturb(link: Proxy, chance: random.Random) -> str:
    """Do one thing to a link; what was done, "" when nothing was open to do it to."""
    match chance.choice(("slow", "slow", "cut", "reset", "heal")):
        case "slow":
            delay_s = chance.uniform(0, 0.4)
            link.slow(delay_s, delay_s * chance.random(), chance.uniform(5e3, 5e5))
            return "slow"
        case "cut":
            return "cut" if link.cut() else ""
        case "reset":
            return "reset" if link.reset() else ""
        case _:
            link.heal()
            return "heal"


@row(
    "F20",
    "Links pass bytes in one direction only",
    needs_s=100,
    shape=Shape(workers=2),
)
def one_way(chaos: Chaos) -> None:
    """Each dependency in turn hears and is not heard, and is heard and does not hear.

    Of RabbitMQ, Redis and PostgreSQL, all processes are cut off or only those of a kind.
    """
    for other in dependencies(chaos):
        for towards in BOTH:
            chaos.load.more(10)
            links = some_links(chaos, other)
            with chaos.fault(f"no way to the {towards}", other):
                assert eventually(lambda: links.connections > 0, within=30)  # noqa: B023
                links.blackhole(towards)
                during(chaos, other)
                links.heal()
    assert chaos.ended(chaos.submit()).state == "SUCCEEDED"


def dependencies(chaos: Chaos) -> Sequence[str]:
    """What links lead to, in any order."""
    found = ["rabbitmq", "redis", "gateway"]
    if chaos.cluster.shape.store == "postgresql":
        found.append("postgresql")
    return chaos.chance.sample(found, len(found))


def some_links(chaos: Chaos, other: str) -> Links:
    """All links to a dependency, or those of one kind of process."""
    kinds = ["client"] if other == "gateway" else ["", "gateway", "worker"]
    return chaos.cluster.links(of=chaos.chance.choice(kinds), to=other)


def during(chaos: Chaos, other: str) -> None:
    """As long as a partition lasts, what does not depend on it goes on."""
    if other == "redis":
        task_id = chaos.submit()
        assert chaos.ended(task_id).state == "SUCCEEDED"
    elif other == "rabbitmq":
        assert isinstance(chaos.client.get(chaos.submit()), Ok)
    chaos.stay(ONE_WAY_S)
