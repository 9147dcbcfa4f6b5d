"""Wires `taskwire dev`: a gateway and a worker in one process, over SQLite and memory.

What is durable is in SQLite alone. The broker and the feed are objects in this process, so a
start begins with what the last process left behind: nothing is running, nothing is dispatched.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import taskwire_contracts
import uvloop
from taskwire_broker.embedded import EmbeddedExchange, EmbeddedPublisher
from taskwire_broker.topology import broker_queue
from taskwire_cli.data_folder import locked
from taskwire_cli.database import database_url
from taskwire_contracts import Contracts
from taskwire_core.errors import ConfigurationError
from taskwire_core.settings import Settings
from taskwire_db import operations, schema
from taskwire_db.database import Database
from taskwire_db.feed.embedded import (
    EmbeddedAnnouncer,
    EmbeddedBus,
    EmbeddedCancelBell,
    EmbeddedFeed,
)
from taskwire_db.reader import Reader
from taskwire_db.writer import Writer
from taskwire_gateway.gateway import Gateway, Surroundings, Tuning
from taskwire_gateway.limits import Limits
from taskwire_gateway.store import GatewayStore
from taskwire_worker.embedded import EmbeddedWorker

OnReady = Callable[[str, Contracts], None]
"""Told the address that it listens on, and what it serves."""


def run(settings: Settings, on_ready: OnReady) -> None:
    """Serve until SIGTERM or SIGINT; a second one ends the grace of running tasks.

    Raises:
        ConfigurationError: it cannot start as it is configured; nothing is left running.
        StoreUnavailable: the database does not answer.
    """
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(_opened(settings))
        house = _furnish(settings, database, stack)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(house, on_ready))


@dataclass(frozen=True, slots=True)
class _House:
    """Everything that stands before the event loop runs."""

    settings: Settings
    contracts: Contracts
    store: GatewayStore
    exchange: EmbeddedExchange
    bus: EmbeddedBus
    worker: EmbeddedWorker
    database: Database


@contextlib.contextmanager
def _opened(settings: Settings) -> Iterator[Database]:
    """The database at its newest schema, this process's alone as the folders of it are."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(locked(settings.data_dir))
        database = Database(database_url(settings))
        stack.callback(database.close)
        if not database.is_sqlite or not database.url.database:
            raise ConfigurationError(
                "without RabbitMQ and Redis `taskwire dev` works on SQLite only: leave"
                " TASKWIRE_DATABASE_URL out, or set TASKWIRE_RABBITMQ_URL and TASKWIRE_REDIS_URL"
            )
        beside = Path(database.url.database).absolute().parent
        if beside != folder:
            stack.enter_context(locked(beside))
        schema.upgrade(database)
        schema.check(database)
        yield database


def _furnish(settings: Settings, database: Database, stack: contextlib.ExitStack) -> _House:
    examples = not settings.contracts and not settings.handlers
    paths = [Path(path) for path in settings.contracts]
    contracts = taskwire_contracts.load(paths, examples=examples)
    bus, exchange = EmbeddedBus(), EmbeddedExchange()
    announcer = EmbeddedAnnouncer(bus)
    writer = Writer(database, announce=announcer.announce)
    stack.callback(writer.close)
    reader = Reader(database_url(settings))
    stack.callback(reader.close)
    worker = EmbeddedWorker(
        settings,
        contracts,
        examples=examples,
        writer=writer,
        doorbell=announcer,
        exchange=exchange,
        deployment_id=database.deployment_id,
    )
    # What the last process could not write comes before what it did not end is given up.
    worker.replay()
    _recover(database)
    return _House(
        settings=settings,
        contracts=contracts,
        store=GatewayStore(database, writer, reader, ttl_us=None),
        exchange=exchange,
        bus=bus,
        worker=worker,
        database=database,
    )


def _recover(database: Database) -> None:
    """Whatever was running when the last process ended runs again, without any waiting."""
    database.execute(operations.sweep_orphans, None)
    while database.execute(operations.sweep_lost, operations.Sweep()):
        pass


async def _serve(house: _House, on_ready: OnReady) -> None:
    gateway = _gateway(house)
    worker = house.worker
    bell = EmbeddedCancelBell(house.bus, worker.worker_id, on_cancel=worker.cancel)
    signals = _Signals()
    try:
        await asyncio.to_thread(worker.start)
        bell.start()
        port = await gateway.start(house.settings.listen)
    except BaseException:
        await gateway.close()
        await asyncio.to_thread(worker.drain, 0.0)
        raise
    host, _, _ = house.settings.listen.rpartition(":")
    on_ready(f"{host}:{port}", house.contracts)
    await signals.first.wait()
    await _drain(house, gateway, signals)
    bell.close(0.0)


def _gateway(house: _House) -> Gateway:
    deployment_id = house.database.deployment_id
    around = Surroundings(
        contracts=house.contracts,
        store=house.store,
        depths=_Depths(house.exchange, deployment_id),
        clock=house.database.clock,
        make_feed=lambda on_ring, on_resync: EmbeddedFeed(
            house.bus, on_ring=on_ring, on_resync=on_resync
        ),
        make_broker=lambda on_confirmed, on_refused, on_connected: EmbeddedPublisher(
            house.exchange,
            deployment_id,
            on_confirmed=on_confirmed,
            on_refused=on_refused,
            on_connected=on_connected,
        ),
    )
    tuning = Tuning(
        limits=Limits(payload_bytes=house.settings.max_payload_bytes),
        max_calls=house.settings.max_calls,
        max_watches=house.settings.max_watches,
        # Whoever runs this is the operator.
        stack_traces=True,
    )
    return Gateway(around, tuning)


async def _drain(house: _House, gateway: Gateway, signals: _Signals) -> None:
    """Running tasks may end and tell those who wait for them, both within the grace."""
    grace = house.settings.drain_grace
    worker = asyncio.create_task(asyncio.to_thread(house.worker.drain, grace.total_seconds()))
    calls = asyncio.create_task(gateway.drain(grace))
    hurry = asyncio.create_task(signals.second.wait())
    both = asyncio.gather(worker, calls)
    await asyncio.wait({both, hurry}, return_when=asyncio.FIRST_COMPLETED)
    hurry.cancel()
    if not both.done():
        house.worker.hurry()
        calls.cancel()
        await asyncio.gather(worker, calls, return_exceptions=True)
        await gateway.close()


class _Signals:
    """SIGTERM and SIGINT, counted."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, self._came)

    def _came(self) -> None:
        (self.second if self.first.is_set() else self.first).set()


class _Depths:
    """See `taskwire_gateway.keeper.ports.QueueDepths`."""

    def __init__(self, exchange: EmbeddedExchange, deployment_id: bytes) -> None:
        self._exchange = exchange
        self._deployment_id = deployment_id

    async def ready(self, queue: str) -> int | None:
        return self._exchange.ready(broker_queue(queue, self._deployment_id))
