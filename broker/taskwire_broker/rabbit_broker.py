"""Dramatiq's RabbitMQ broker with the claiming consumer in place of its own."""

from __future__ import annotations

from collections.abc import Sequence

from dramatiq import Middleware
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from taskwire_broker.claiming_broker import ClaimingBroker
from taskwire_broker.connection import connection_parameters
from taskwire_broker.deliveries import DeliverySource
from taskwire_broker.patience import Patience
from taskwire_broker.ports import Intake
from taskwire_broker.rabbit_source import RabbitSource
from taskwire_core.queue_type import QueueType


class TaskwireBroker(ClaimingBroker, RabbitmqBroker):
    """One connection per consumed queue and none besides; see `ClaimingBroker`.

    Raises:
        ConfigurationError: the URL cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        deployment_id: bytes,
        intake: Intake,
        queue_type: QueueType = QueueType.CLASSIC,
        middleware: Sequence[Middleware] = (),
        patience: Patience | None = None,
    ) -> None:
        parameters = connection_parameters(url, "taskwire worker")
        self._claim_with(intake, deployment_id, patience)
        super().__init__(middleware=list(middleware))
        self.parameters = parameters
        self.queue_type = queue_type

    def _source(self, queue_name: str) -> DeliverySource:
        return RabbitSource(self.parameters, queue_name)
