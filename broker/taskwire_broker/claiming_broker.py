"""What both brokers are to Dramatiq: queues whose messages are claimed before they run."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from typing import Any

from dramatiq import Message
from dramatiq.broker import Broker

from taskwire_broker.claiming_consumer import ClaimingConsumer
from taskwire_broker.deliveries import DeliverySource
from taskwire_broker.patience import Patience
from taskwire_broker.ports import Intake
from taskwire_broker.topology import broker_queue
from taskwire_core.queue_type import QueueType


class ClaimingBroker(Broker):
    """A Dramatiq broker that only consumes: taskwire's gateway does the enqueueing.

    A worker asks its consumers for what they have claimed. Dramatiq's own Worker runs over it
    too, with actors under their task type's name and `name_of(queue)`.
    It has no middleware unless some is given, and no delay queues. Only the queues are
    Dramatiq's business here; retries, time-outs and results are decided in SQL.
    """

    queues: set[str]
    queue_type = QueueType.CLASSIC

    def _claim_with(self, intake: Intake, deployment_id: bytes, patience: Patience | None) -> None:
        self._intake = intake
        self.deployment_id = deployment_id
        self._patience = patience
        self._claiming = threading.Lock()
        self._consumers: dict[str, ClaimingConsumer] = {}
        self._drained = False

    @abstractmethod
    def _source(self, queue_name: str) -> DeliverySource:
        """A new source of the broker queue's deliveries, not yet connected."""

    def name_of(self, queue: str) -> str:
        """This broker's name for the deployment's queue `queue`."""
        return broker_queue(queue, self.deployment_id, self.queue_type)

    @property
    def held(self) -> int:
        """How many deliveries are in this process without being claimed."""
        return sum(consumer.held for consumer in list(self._consumers.values()))

    def drain(self, timeout: float) -> bool:
        """Take nothing more and give back what is unclaimed; whether all did in `timeout` s.

        What is claimed already is still handed to the worker. There is no way back.
        """
        self._drained = True
        deadline = time.monotonic() + timeout
        consumers = list(self._consumers.values())
        # All are told, also when the first one is late.
        ended = [each.end(timeout=deadline - time.monotonic()) for each in consumers]
        return all(ended)

    def consume(
        self, queue_name: str, prefetch: int = 1, timeout: int = 30_000
    ) -> ClaimingConsumer:
        """The queue's claiming consumer; it connects by itself, when there are free slots.

        `prefetch` is Dramatiq's guess from its number of threads and is not used: the intake
        says how much is wanted. `timeout` is in milliseconds.
        """
        consumer = ClaimingConsumer(
            source=self._source(queue_name),
            name=queue_name,
            deployment_id=self.deployment_id,
            intake=self._intake,
            claiming=self._claiming,
            idle=timeout / 1000,
            patience=self._patience,
        )
        self._consumers[queue_name] = consumer
        if self._drained:
            consumer.end(timeout=0)
        return consumer

    def declare_queue(self, queue_name: str, *, ensure: bool = False) -> None:
        """Note the queue; its consumer declares it at the broker whenever it connects.

        No delay queue is announced, so Dramatiq's worker makes no consumer for one.
        """
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)

    def get_declared_queues(self) -> set[str]:
        return self.queues.copy()

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """Refused: a message without a row in SQL would be claimed by nobody.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError(
            "taskwire's actors cannot be sent messages; submit the task through the gateway"
        )
