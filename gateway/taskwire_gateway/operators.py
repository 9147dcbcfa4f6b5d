"""What operators get, put together: queues, bulk operations, and who does those."""

from __future__ import annotations

from collections.abc import Callable

from taskwire_contracts import Contracts
from taskwire_contracts.preparation import Preparation
from taskwire_contracts.validation import Rules
from taskwire_core.page_tokens import PageTokens
from taskwire_gateway.admission import Admission
from taskwire_gateway.bulk_ports import BulkStore
from taskwire_gateway.keeper.bulk import BulkRunner
from taskwire_gateway.ports import Clock
from taskwire_gateway.queue_ports import PausedQueues, QueueStore
from taskwire_gateway.rpc import bulk_task_service, operations_service, queue_service
from taskwire_gateway.rpc.bulk_task_service import BulkTaskService
from taskwire_gateway.rpc.calls import Handler
from taskwire_gateway.rpc.operations_service import OperationsService
from taskwire_gateway.rpc.queue_service import QueueService
from taskwire_gateway.use_cases.bulk import Bulk
from taskwire_gateway.use_cases.queues import Queues
from taskwire_gateway.use_cases.retrying import repeated

SERVICES = (queue_service.SERVICE, bulk_task_service.SERVICE, operations_service.SERVICE)


class Operators:
    """`handlers` is what the server serves, `runner` what works beside it while it `leads`.

    `wake` has the backlog looked at, because there is something to dispatch.
    """

    def __init__(
        self,
        *,
        queues: QueueStore,
        bulk: BulkStore,
        paused: PausedQueues,
        contracts: Contracts,
        preparation: Preparation,
        rules: Rules,
        page_tokens: PageTokens,
        clock: Clock,
        leads: Callable[[], bool],
        wake: Callable[[], None],
    ) -> None:
        declared = {found.options.queue for found in contracts.types.values()}
        bulk_use_cases = Bulk(bulk, clock)
        self._queues = QueueService(
            Queues(queues, paused, declared=declared, wake=wake),
            bulk_use_cases,
            rules,
            page_tokens,
        )
        self._bulk = BulkTaskService(bulk_use_cases, rules)
        self._operations = OperationsService(bulk_use_cases, page_tokens)
        self.runner = BulkRunner(
            bulk,
            leads=leads,
            repeat=lambda old: repeated(preparation, old),
            wake=wake,
            clock=clock,
        )

    def handlers(self, admission: Admission) -> dict[str, Handler]:
        """The method handlers by path."""
        return {
            **self._queues.handlers(admission),
            **self._bulk.handlers(admission),
            **self._operations.handlers(admission),
        }
