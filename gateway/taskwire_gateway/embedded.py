"""The embedded shape: one process, SQLite in a data folder, broker and feed in memory.

`taskwire dev` puts it together with the worker: this room knows the worker only as
something that starts and drains.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import taskwire_db.schema
from taskwire_admin.admin import Admin
from taskwire_admin.instruments import Instruments
from taskwire_admin.store_metrics import StoreMetrics
from taskwire_broker.embedded import EmbeddedExchange, EmbeddedPublisher
from taskwire_broker.topology import broker_queue
from taskwire_contracts import Contracts
from taskwire_core.errors import ConfigurationError, StoreUnavailable
from taskwire_core.interpreter import prepare_interpreter
from taskwire_core.page_tokens import PageTokens
from taskwire_core.settings import Settings
from taskwire_core.task import Dispatch
from taskwire_core.user import DEV
from taskwire_db import operations
from taskwire_db.database import Database
from taskwire_db.feed.embedded import (
    EmbeddedAnnouncer,
    EmbeddedBus,
    EmbeddedFeed,
)
from taskwire_db.figures import read_figures
from taskwire_db.lists.list_reader import ListReader
from taskwire_db.place import database_url
from taskwire_db.reader import Reader
from taskwire_db.writer import Writer
from taskwire_gateway.adapters.bulk import GatewayBulkStore
from taskwire_gateway.adapters.queues import GatewayQueueStore
from taskwire_gateway.adapters.users import StoredUsers, everybody
from taskwire_gateway.gateway import Gateway, Surroundings
from taskwire_gateway.identity import Identity
from taskwire_gateway.main import (
    serve_until_stopped,
    show,
    tuning_of,
    uvloop_runner,
    watched_writer,
)
from taskwire_gateway.ports import Hearing
from taskwire_gateway.store import GatewayStore

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Foundation:
    """What the embedded gateway and worker share; `announcer` is the worker's doorbell too."""

    database: Database
    writer: Writer
    reader: Reader
    bus: EmbeddedBus
    announcer: EmbeddedAnnouncer
    exchange: EmbeddedExchange
    deployment_id: bytes
    page_tokens: PageTokens
    lists: ListReader
    instruments: Instruments

    def close(self) -> None:
        """Commit what is pending and close the database."""
        self.writer.close()
        self.reader.close()
        self.lists.close()
        self.database.close()


class BesideWorker(Protocol):
    """The worker in the same process; all methods block and are called in threads."""

    @property
    def unclaimed(self) -> int:
        """How many deliveries it holds without having claimed them."""

    def replay(self) -> int:
        """Write what the last process left in its spool; before the boot's sweeps."""

    def start(self) -> None:
        """Begin to work; after the boot's sweeps."""

    def hurry(self) -> None:
        """End the grace of the drain in progress."""

    def drain(self, grace_s: float) -> None:
        """End the work in order."""


def run_embedded(
    settings: Settings,
    contracts: Contracts,
    make_worker: Callable[[Foundation], BesideWorker],
    on_ready: Callable[[int], None],
    admin: Admin,
) -> int:
    """Serve and work until a signal; the process's exit code. `on_ready` is told the port, and
    `admin` shows how all of it is.

    Raises:
        ConfigurationError: the data folder is in use, or it cannot start as it is configured.
    """
    lock = _lock(settings.data_dir)
    try:
        foundation = lay_foundation(settings, admin.instruments)
        try:
            worker = make_worker(foundation)
            worker.replay()
            foundation.database.execute(operations.sweep_orphans, None)
            prepare_interpreter()
            with uvloop_runner() as runner:
                runner.run(_serve(settings, contracts, foundation, worker, on_ready, admin))
        finally:
            foundation.close()
    except StoreUnavailable as error:
        raise ConfigurationError(f"the database does not answer: {error}") from error
    finally:
        os.close(lock)
    log.info("stopped")
    return 0


def _lock(folder: Path) -> int:
    """An open file that holds the data folder; the lock ends with the process, however it ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigurationError(
            f"the data folder {folder} cannot be used: {error.strerror}; set TASKWIRE_DATA_DIR"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise ConfigurationError(
            f"the data folder {folder} is in use by another taskwire process;"
            " stop that one, or set TASKWIRE_DATA_DIR to another folder"
        ) from None
    return lock


def lay_foundation(settings: Settings, instruments: Instruments | None = None) -> Foundation:
    """The data folder's database, upgraded, and what stands on it; the caller closes it."""
    instruments = instruments or Instruments()
    url = database_url(settings)
    database = Database(url)
    taskwire_db.schema.upgrade(database)
    reader = Reader(url)
    instruments.registry.register(StoreMetrics(lambda: read_figures(reader)))
    bus = EmbeddedBus()
    announcer = EmbeddedAnnouncer(bus)
    return Foundation(
        database=database,
        writer=watched_writer(database, announcer.announce, instruments),
        reader=reader,
        bus=bus,
        announcer=announcer,
        exchange=EmbeddedExchange(),
        deployment_id=database.deployment_id,
        page_tokens=PageTokens(database.signing_key()),
        lists=ListReader(url),
        instruments=instruments,
    )


async def _serve(
    settings: Settings,
    contracts: Contracts,
    foundation: Foundation,
    worker: BesideWorker,
    on_ready: Callable[[int], None],
    admin: Admin,
) -> None:
    identity = everybody(foundation.database, settings.user)
    around = surroundings(
        contracts,
        foundation,
        identity,
        held=lambda: worker.unclaimed,
        instruments=foundation.instruments,
    )
    gateway = Gateway(around, tuning_of(settings, stack_traces=True))
    show(gateway, around.store, admin)
    await asyncio.to_thread(worker.start)
    grace_s = settings.drain_grace.total_seconds()

    async def drain_worker() -> None:
        try:
            await asyncio.shield(asyncio.to_thread(worker.drain, grace_s))
        except asyncio.CancelledError:
            worker.hurry()
            raise

    def ready(port: int) -> None:
        identity.warn()
        on_ready(port)

    try:
        await serve_until_stopped(gateway, settings, ready, also_drain=drain_worker)
    except (ConfigurationError, StoreUnavailable):
        await asyncio.to_thread(worker.drain, 0.0)
        raise


def surroundings(
    contracts: Contracts,
    foundation: Foundation,
    identity: Identity | None = None,
    *,
    held: Callable[[], int] = lambda: 0,
    instruments: Instruments | None = None,
) -> Surroundings:
    """What an embedded gateway stands on; `held` are the worker's unclaimed deliveries, and
    `instruments` those of the foundation, of which one gateway can make use."""

    def feed(hearing: Hearing) -> EmbeddedFeed:
        return EmbeddedFeed(
            foundation.bus,
            on_ring=hearing.ring,
            on_resync=hearing.resync,
            on_backlog=hearing.backlog,
            on_changes=hearing.changes,
            wanted=hearing.wanted,
        )

    def publisher(
        on_confirmed: Callable[[list[Dispatch]], None],
        on_refused: Callable[[list[Dispatch]], None],
        on_connected: Callable[[], None],
    ) -> EmbeddedPublisher:
        return EmbeddedPublisher(
            foundation.exchange,
            foundation.deployment_id,
            on_confirmed=on_confirmed,
            on_refused=on_refused,
            on_connected=on_connected,
        )

    return Surroundings(
        contracts=contracts,
        store=GatewayStore(foundation.database, foundation.writer, foundation.reader, ttl_us=None),
        queues=GatewayQueueStore(foundation.writer, foundation.reader),
        users=StoredUsers(foundation.writer, foundation.reader),
        identity=identity or everybody(foundation.database, DEV),
        bulk=GatewayBulkStore(foundation.writer, foundation.reader),
        depths=_Depths(foundation, held),
        clock=foundation.database.clock,
        make_feed=feed,
        make_broker=publisher,
        page_tokens=foundation.page_tokens,
        lists=foundation.lists,
        instruments=instruments or Instruments(),
    )


class _Depths:
    """How many messages wait in memory, those that the worker holds unclaimed included."""

    def __init__(self, foundation: Foundation, held: Callable[[], int]) -> None:
        self._foundation = foundation
        self._held = held

    async def ready(self, queue: str) -> int | None:
        """See `QueueDepths`."""
        name = broker_queue(queue, self._foundation.deployment_id)
        return self._foundation.exchange.ready(name) + self._held()
