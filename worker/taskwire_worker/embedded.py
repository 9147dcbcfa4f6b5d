"""The worker inside the gateway's process, for `taskwire dev`: the same crew, no supervisor.

It needs no lease, because the data folder is locked: nobody else can run its tasks. Handlers
run in threads of this process; those that declare process isolation run in children.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Collection

from taskwire_admin.instruments import Instruments
from taskwire_broker.embedded import EmbeddedBroker, EmbeddedExchange
from taskwire_contracts import Contracts
from taskwire_contracts.preparation import Clock
from taskwire_core.errors import StoreUnavailable
from taskwire_core.ids import new_id
from taskwire_core.settings import Settings
from taskwire_db.feed.embedded import EmbeddedAnnouncer, EmbeddedBus, EmbeddedCancelBell
from taskwire_db.writer import Writer
from taskwire_worker.crew import Crew
from taskwire_worker.crew_metrics import CrewState
from taskwire_worker.deliveries import BrokerDeliveries
from taskwire_worker.lease import EndlessLease
from taskwire_worker.ports import WorkerRow
from taskwire_worker.spool import Spool
from taskwire_worker.store_ledger import StoreLedger, StoreWorkerBook
from taskwire_worker.workplace import load_workplace

_LOG = logging.getLogger(__name__)

_SETTLE_TIMEOUT_S = 5.0


class EmbeddedWorker:
    """`replay` before the boot's sweeps, `start` after them, `drain` at the end. All block."""

    def __init__(
        self,
        settings: Settings,
        contracts: Contracts,
        *,
        examples: bool,
        writer: Writer,
        clock: Clock,
        bus: EmbeddedBus,
        exchange: EmbeddedExchange,
        deployment_id: bytes,
        instruments: Instruments,
    ) -> None:
        """Loads the handlers: those of the settings, or with `examples` the examples'.

        Raises:
            ConfigurationError: A handler cannot be loaded.
        """
        self.worker_id = new_id()
        self._workplace = load_workplace(
            settings, host=os.getpid(), examples=examples, contracts=contracts
        )
        spool = Spool(settings.data_dir / "spool")
        self._book = StoreWorkerBook(writer, spool, ttl_us=None)
        self._crew = Crew(
            self._workplace.options(self.worker_id),
            self._workplace.handlers,
            ledger=StoreLedger(writer, self.worker_id),
            doorbell=EmbeddedAnnouncer(bus),
            lease=EndlessLease(),
            deliveries=BrokerDeliveries(
                self._workplace.queues,
                lambda intake: EmbeddedBroker(exchange, deployment_id=deployment_id, intake=intake),
            ),
            preparation=self._workplace.preparation(clock),
            instruments=instruments,
        )

        instruments.registry.register(CrewState(self._crew))
        self._bell = EmbeddedCancelBell(bus, self.worker_id, on_cancel=self._crew.cancel)

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues that it works on."""
        return self._workplace.queues

    @property
    def types(self) -> Collection[str]:
        """The task types that it has handlers of."""
        return self._workplace.handlers.keys()

    @property
    def unclaimed(self) -> int:
        """How many deliveries wait here unclaimed."""
        return self._crew.unclaimed

    def replay(self) -> int:
        """Writes the settlements that the last process left in its spool; how many there were.

        Raises:
            StoreUnavailable: They stay in the spool.
        """
        return self._book.replay()

    def start(self) -> None:
        """Registers the worker and begins to take on work.

        Raises:
            StoreUnavailable: It could not be registered.
        """
        self._book.register(
            WorkerRow(
                id=self.worker_id,
                host=socket.gethostname(),
                pid=os.getpid(),
                slots=self._workplace.slots,
                types=tuple(self.types),
                queues=self._workplace.queues,
            )
        )
        self._bell.start()
        self._crew.start()

    def hurry(self) -> None:
        """Ends the grace of a drain that another thread waits for."""
        self._crew.hurry()

    def drain(self, grace_s: float) -> None:
        """Ends the work in order, `grace_s` and a few seconds at most.

        A handler that still runs then loses its task: the process must end soon after.
        """
        if running := len(self._crew.held.running()):
            _LOG.info("tasks still run, Ctrl-C again ends them now", extra={"running": running})
        self._crew.drain(grace_s)
        self._crew.finish(_SETTLE_TIMEOUT_S)
        self._bell.close(1.0)
        try:
            self._book.retired(self.worker_id)
        except StoreUnavailable:
            # The next boot recovers what is still marked as running.
            return
