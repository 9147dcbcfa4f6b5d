"""The names and arguments of the broker's queues; publisher and consumer both ask here.

A queue `thumbnails` of a deployment is `tw1.thumbnails.<deployment>` in RabbitMQ. `tw1` is the
version of the arguments below: changing them in place would be answered with 406, so a change
needs a new version. The deployment's short form keeps two databases on one RabbitMQ apart. It
comes last so that no name ends in `.DQ` or `.XQ`, which Dramatiq gives a meaning of its own.
Rejected messages go to `<name>.XQ` for seven days, as Dramatiq arranges it. There is no delay
queue: timers live in SQL.
"""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import Any

from dramatiq.common import xq_name

TOPOLOGY_VERSION = "tw1"
DEAD_LETTERS_KEPT = timedelta(days=7)


@lru_cache(maxsize=4096)
def broker_queue(queue: str, deployment_id: bytes) -> str:
    """The broker's name for the deployment's queue `queue`."""
    # The last bytes of a UUID are random in every version; the first of a UUIDv7 are its time.
    return f"{TOPOLOGY_VERSION}.{queue}.{deployment_id[-4:].hex()}"


def logical_queue(name: str) -> str:
    """The queue that `name`, a result of `broker_queue`, stands for.

    Raises:
        ValueError: `name` is not such a name.
    """
    version, _, rest = name.partition(".")
    queue, _, deployment = rest.rpartition(".")
    if version != TOPOLOGY_VERSION or not queue or len(deployment) != 8:
        raise ValueError(f"{name!r} is not the name of a taskwire queue")
    return queue


def dead_letter_queue(name: str) -> str:
    """Where the broker puts what was rejected from the broker queue `name`."""
    return xq_name(name)


def queue_arguments(name: str) -> dict[str, Any]:  # AMQP tables have values of any type
    """The arguments of the durable broker queue `name`; the same as Dramatiq's own."""
    return {
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": dead_letter_queue(name),
    }


def dead_letter_arguments() -> dict[str, Any]:  # AMQP tables have values of any type
    """The arguments of every durable dead-letter queue; the same as Dramatiq's own."""
    return {"x-message-ttl": DEAD_LETTERS_KEPT // timedelta(milliseconds=1)}
