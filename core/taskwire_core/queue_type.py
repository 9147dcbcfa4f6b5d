"""How RabbitMQ keeps a queue; the names are its own."""

from __future__ import annotations

from enum import StrEnum


class QueueType(StrEnum):
    """The type of all queues of a deployment."""

    CLASSIC = "classic"
    """On one node, which is gone with it."""

    QUORUM = "quorum"
    """Replicated over the nodes of a cluster; it lives while most of them do."""
