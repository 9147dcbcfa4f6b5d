"""Wires `taskwire worker`: the supervisor of a host, and what each worker process works with.

The one file of this room that knows which database, broker and feed there are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import taskwire_db.schema
from taskwire_admin.admin import Admin
from taskwire_admin.instruments import Instruments
from taskwire_admin.writer_metrics import WriterMetrics
from taskwire_broker.rabbit_broker import TaskwireBroker
from taskwire_core.errors import ConfigurationError, StoreUnavailable
from taskwire_core.settings import Settings, require_services
from taskwire_db.database import Database
from taskwire_db.feed.redis_announcer import RedisAnnouncer
from taskwire_db.feed.redis_bell import RedisCancelBell
from taskwire_db.writer import Writer
from taskwire_worker.crew import Crew
from taskwire_worker.crew_metrics import CrewState
from taskwire_worker.deliveries import BrokerDeliveries
from taskwire_worker.lease import Lease
from taskwire_worker.spool import Spool
from taskwire_worker.store_ledger import StoreLedger, StoreWorkerBook, settle_spooled
from taskwire_worker.supervisor import Supervisor
from taskwire_worker.workplace import Workplace


def run(settings: Settings) -> int:
    """Runs the worker processes of this host until a signal; the process's exit code.

    Raises:
        ConfigurationError: It cannot start as it is configured, or the store does not answer.
    """
    require_services(settings)
    if not settings.handlers:
        raise ConfigurationError(
            "TASKWIRE_HANDLERS must name the modules with your @task functions"
        )
    admin = Admin("worker")
    with admin.open(settings.admin_listen):
        return _supervise(settings, admin)


def _supervise(settings: Settings, admin: Admin) -> int:
    spool = _spool(settings)
    database = Database(settings.database_url)
    try:
        taskwire_db.schema.check(database)
        announcer = RedisAnnouncer(settings.redis_url, database.deployment_id)
        writer = Writer(database, announce=announcer.announce)
        spool.replay(lambda kept: settle_spooled(writer, kept))
    except StoreUnavailable as error:
        raise ConfigurationError(
            f"the database of TASKWIRE_DATABASE_URL does not answer: {error}; {error.advice}"
        ) from error
    ttl_us = round(settings.lease_ttl.total_seconds() * 1_000_000)
    try:
        return Supervisor(settings, StoreWorkerBook(writer, ttl_us=ttl_us), admin).run()
    finally:
        writer.close()
        announcer.close(2.0)
        database.close()


def _spool(settings: Settings) -> Spool:
    spool = Spool(settings.data_dir / "spool")
    try:
        spool.prepare()
    except OSError as error:
        raise ConfigurationError(
            f"the data folder {settings.data_dir} cannot be used: {error.strerror};"
            " set TASKWIRE_DATA_DIR"
        ) from error
    return spool


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
            deployment_id,
            lambda intake: TaskwireBroker(
                settings.rabbitmq_url, deployment_id=deployment_id, intake=intake
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
