"""The broker room as the crew steers it: which queues, when to stop, what is unclaimed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from taskwire_broker.claiming_broker import ClaimingBroker
from taskwire_worker.intake import Intake
from taskwire_worker.work_loop import Consumer

_DRAIN_TIMEOUT_S = 3.0
_IDLE_MS = 200


class BrokerDeliveries:
    """`Deliveries` from a claiming broker, which `make` makes when the intake is there."""

    def __init__(
        self,
        queues: Collection[str],
        make: Callable[[Intake], ClaimingBroker],
    ) -> None:
        self.queues = queues
        self._make = make
        self._broker: ClaimingBroker | None = None

    def consumers(self, intake: Intake) -> Sequence[Consumer]:
        self._broker = broker = self._make(intake)
        names = [broker.name_of(queue) for queue in self.queues]
        for name in names:
            broker.declare_queue(name)
        return [broker.consume(name, timeout=_IDLE_MS) for name in names]

    def drain(self) -> None:
        if self._broker is not None:
            self._broker.drain(_DRAIN_TIMEOUT_S)

    def held(self) -> int:
        return 0 if self._broker is None else self._broker.held
