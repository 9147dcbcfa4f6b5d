"""The names and arguments of the broker's queues; publisher and consumer both ask here.

A queue `thumbnails` of a deployment is `tw1.thumbnails.<deployment>` in RabbitMQ, and
`tw1q.thumbnails.<deployment>` when its queues are quorum queues. That first part is the version
of the arguments below: changing them in place would be answered with 406, so a change needs a
new version. The deployment's short form keeps two databases on one RabbitMQ apart. It comes last
so that no name ends in `.DQ` or `.XQ`, which Dramatiq gives a meaning of its own. Rejected
messages go to `<name>.XQ` for seven days, as Dramatiq arranges it. There is no delay queue:
timers live in SQL.
"""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import Any

from taskwire_core.queue_type import QueueType

VERSIONS = {QueueType.CLASSIC: "tw1", QueueType.QUORUM: "tw1q"}
DEAD_LETTERS_KEPT = timedelta(days=7)

_UNLIMITED = 2**31 - 1
"""Deliveries of a message. A consumer without a free slot gives back what it was sent, as often
as it likes, and RabbitMQ 4 makes a dead letter of what was delivered 20 times. To say -1 is no
way out: RabbitMQ 3.10 takes that for a limit that the first delivery exceeds."""


@lru_cache(maxsize=4096)
def broker_queue(queue: str, deployment_id: bytes, type: QueueType = QueueType.CLASSIC) -> str:
    """The broker's name for the deployment's queue `queue`."""
    # The last bytes of a UUID are random in every version; the first of a UUIDv7 are its time.
    return f"{VERSIONS[type]}.{queue}.{deployment_id[-4:].hex()}"


def logical_queue(name: str) -> str:
    """The queue that `name`, a result of `broker_queue`, stands for.

    Raises:
        ValueError: `name` is not such a name.
    """
    version, _, rest = name.partition(".")
    queue, _, deployment = rest.rpartition(".")
    if version not in VERSIONS.values() or not queue or len(deployment) != 8:
        raise ValueError(f"{name!r} is not the name of a taskwire queue")
    return queue


def dead_letter_queue(name: str) -> str:
    """Where the broker puts what was rejected from the broker queue `name`; as Dramatiq says."""
    # Not asked of Dramatiq: a gateway publishes, and does not load it for a name.
    return f"{name}.XQ"


def queue_arguments(name: str) -> dict[str, Any]:  # AMQP tables have values of any type
    """The arguments of the durable broker queue `name`; a classic one has Dramatiq's own."""
    limit = {"x-delivery-limit": _UNLIMITED} if _is_quorum(name) else {}
    return {
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": dead_letter_queue(name),
        **_type_arguments(name),
        **limit,
    }


def dead_letter_arguments(name: str) -> dict[str, Any]:  # AMQP tables have values of any type
    """The arguments of the durable dead-letter queue of the broker queue `name`.

    It is of the same type. Nobody could declare a classic one while its node is away, and
    without it no queue is published to.
    """
    kept = DEAD_LETTERS_KEPT // timedelta(milliseconds=1)
    return {"x-message-ttl": kept, **_type_arguments(name)}


def _type_arguments(name: str) -> dict[str, str]:
    return {"x-queue-type": QueueType.QUORUM.value} if _is_quorum(name) else {}


def _is_quorum(name: str) -> bool:
    return name.startswith(f"{VERSIONS[QueueType.QUORUM]}.")
