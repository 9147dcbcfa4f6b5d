"""Wires a worker process: its crew, over its database, its broker and its feed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from taskwire_admin.instruments import Instruments
from taskwire_admin.writer_metrics import WriterMetrics
from taskwire_broker.rabbit_broker import TaskwireBroker
from taskwire_db.database import Database
from taskwire_db.feed.redis_announcer import RedisAnnouncer
from taskwire_db.feed.redis_bell import RedisCancelBell
from taskwire_db.writer import Writer
from taskwire_worker.crew import Crew
from taskwire_worker.crew_metrics import CrewState
from taskwire_worker.deliveries import BrokerDeliveries
from taskwire_worker.lease import Lease
from taskwire_worker.store_ledger import StoreLedger
from taskwire_worker.workplace import Workplace


@dataclass(frozen=True, slots=True)
class Hands:
    """A worker process's crew, and what to close after it."""

    crew: Crew
    close: Callable[[], None]


def hire(workplace: Workplace, worker_id: bytes, lease: Lease, instruments: Instruments) -> Hands:
    """The crew of a worker process, connected to the database, RabbitMQ and Redis.

    Raises:
        ConfigurationError: A URL cannot be used.
        StoreUnavailable: The database does not answer.
    """
    settings = workplace.settings
    database = Database(settings.database_url)
    deployment_id = database.deployment_id
    announcer = RedisAnnouncer(settings.redis_url, deployment_id)
    metrics = WriterMetrics(instruments.registry)
    writer = Writer(database, announce=announcer.announce, committed=metrics.committed)
    metrics.watch(lambda: writer.pending)
    crew = Crew(
        workplace.options(worker_id),
        workplace.handlers,
        ledger=StoreLedger(writer, worker_id),
        doorbell=announcer,
        lease=lease,
        deliveries=BrokerDeliveries(
            workplace.queues,
            lambda intake: TaskwireBroker(
                settings.rabbitmq_url,
                deployment_id=deployment_id,
                intake=intake,
                queue_type=settings.rabbitmq_queue_type,
            ),
        ),
        preparation=workplace.preparation(database.clock),
        instruments=instruments,
    )

    instruments.registry.register(CrewState(crew))
    bell = RedisCancelBell(settings.redis_url, deployment_id, worker_id, on_cancel=crew.cancel)
    bell.start()

    def close() -> None:
        bell.close(1.0)
        writer.close()
        announcer.close(2.0)
        database.close()

    return Hands(crew, close)
