"""Wires `taskwire gateway`: SQL, RabbitMQ and Redis, read from the settings.

With `embedded.py` and `store.py` the only files of this room that know which database, broker
and feed there are.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from pathlib import Path

import uvloop

from taskwire_admin.admin import Admin
from taskwire_admin.instruments import Instruments
from taskwire_admin.store_metrics import StoreMetrics
from taskwire_admin.writer_metrics import WriterMetrics
from taskwire_broker.queue_depth import RabbitDepths
from taskwire_broker.rabbit_publisher import RabbitPublisher
from taskwire_contracts import Contracts, check_rules, load
from taskwire_contracts.limits import Limits
from taskwire_core.errors import ConfigurationError, StoreUnavailable
from taskwire_core.interpreter import prepare_interpreter
from taskwire_core.page_tokens import PageTokens
from taskwire_core.settings import Settings, require_services
from taskwire_core.task import Dispatch
from taskwire_db import revision
from taskwire_db.database import Database
from taskwire_db.feed.redis_announcer import RedisAnnouncer
from taskwire_db.feed.redis_feed import RedisFeed
from taskwire_db.figures import read_figures
from taskwire_db.lists.list_reader import ListReader
from taskwire_db.reader import Reader
from taskwire_db.writer import Announce, Writer
from taskwire_gateway.adapters.bulk import GatewayBulkStore
from taskwire_gateway.adapters.queues import GatewayQueueStore
from taskwire_gateway.adapters.users import StoredUsers, everybody
from taskwire_gateway.gateway import Gateway, Store, Surroundings, Tuning
from taskwire_gateway.ports import Hearing
from taskwire_gateway.signals import Stop
from taskwire_gateway.standing import LoopStanding
from taskwire_gateway.store import GatewayStore

log = logging.getLogger(__name__)

_CLOSE_S = 2.0


def run(settings: Settings) -> int:
    """Serve until a signal; the process's exit code.

    Raises:
        ConfigurationError: it cannot start as it is configured.
    """
    tuning = replace(tuning_of(settings, stack_traces=False), keeps=settings.keeper)
    return _run("gateway", settings, tuning)


def run_keeper(settings: Settings) -> int:
    """Do the keeper's work until a signal, and serve nobody; the process's exit code.

    It is a gateway that does not listen: what it finds in the backlog it publishes itself.

    Raises:
        ConfigurationError: it cannot start as it is configured.
    """
    tuning = replace(tuning_of(settings, stack_traces=False), serves=False)
    return _run("keeper", settings, tuning)


def _run(service: str, settings: Settings, tuning: Tuning) -> int:
    """Either of the two, until a signal.

    Raises:
        ConfigurationError: it cannot start as it is configured.
    """
    require_services(settings)
    if not settings.contracts:
        raise ConfigurationError(
            "TASKWIRE_CONTRACTS must name your descriptor sets;"
            " make one with `taskwire contracts build`"
        )
    contracts = load([Path(name) for name in settings.contracts])
    check_rules(contracts)
    admin = Admin(service)
    with admin.open(settings.admin_listen):
        database = Database(settings.database_url)
        try:
            revision.check(database)
            prepare_interpreter()
            with uvloop_runner() as runner:
                runner.run(_serve(settings, tuning, contracts, database, admin))
        except StoreUnavailable as error:
            raise ConfigurationError(
                f"the database of TASKWIRE_DATABASE_URL does not answer: {error}; {error.advice}"
            ) from error
        finally:
            database.close()
    return 0


def uvloop_runner() -> asyncio.Runner:
    """A runner of the loop that serves gRPC fastest."""
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


def tuning_of(settings: Settings, *, stack_traces: bool) -> Tuning:
    """The gateway's part of the settings."""
    return Tuning(
        limits=Limits(payload_bytes=settings.max_payload_bytes),
        lease=settings.lease_ttl,
        max_calls=settings.max_calls,
        max_watches=settings.max_watches,
        stack_traces=stack_traces,
        retention=settings.retention,
    )


async def _serve(
    settings: Settings, tuning: Tuning, contracts: Contracts, database: Database, admin: Admin
) -> None:
    deployment_id = database.deployment_id
    identity = everybody(database, settings.user)
    announcer = RedisAnnouncer(settings.redis_url, deployment_id)
    writer = watched_writer(database, announcer.announce, admin.instruments)
    reader = Reader(settings.database_url)
    lists = ListReader(settings.database_url)
    admin.instruments.registry.register(StoreMetrics(lambda: read_figures(reader)))
    ttl_us = round(settings.lease_ttl.total_seconds() * 1_000_000)
    around = Surroundings(
        contracts=contracts,
        store=GatewayStore(database, writer, reader, ttl_us=ttl_us),
        queues=GatewayQueueStore(writer, reader),
        users=StoredUsers(writer, reader),
        identity=identity,
        bulk=GatewayBulkStore(writer, reader),
        depths=RabbitDepths(settings.rabbitmq_url, deployment_id, settings.rabbitmq_queue_type),
        clock=database.clock,
        make_feed=partial(_feed, settings.redis_url, deployment_id),
        make_broker=partial(_publisher, settings, deployment_id),
        page_tokens=PageTokens(database.signing_key()),
        lists=lists,
        instruments=admin.instruments,
    )
    try:
        gateway = Gateway(around, tuning)
        show(gateway, around.store, admin)
        await serve_until_stopped(gateway, settings, lambda port: identity.warn())
    finally:
        writer.close()
        reader.close()
        lists.close()
        announcer.close(_CLOSE_S)


def show(gateway: Gateway, store: Store, admin: Admin) -> None:
    """Have the admin port ask this gateway, which runs on the present event loop."""
    standing = LoopStanding(
        asyncio.get_running_loop(),
        serving=lambda: gateway.serving,
        ask_store=store.live_workers,
        parts=gateway.connected,
    )
    admin.healthy, admin.ready = standing.healthy, standing.ready


def watched_writer(database: Database, announce: Announce, instruments: Instruments) -> Writer:
    """A writer whose commits are counted."""
    metrics = WriterMetrics(instruments.registry)
    writer = Writer(database, announce=announce, committed=metrics.committed)
    metrics.watch(lambda: writer.pending)
    return writer


async def serve_until_stopped(
    gateway: Gateway,
    settings: Settings,
    on_ready: Callable[[int], None],
    *,
    also_drain: Callable[[], Coroutine[object, object, None]] | None = None,
) -> None:
    """Serve until a signal, then drain; a second signal ends the drain.

    `on_ready` is told the port, if there is one. `also_drain` ends what runs beside the
    gateway, after calls are refused and before its broker closes.

    Raises:
        ConfigurationError: the address cannot be had.
        StoreUnavailable: the store does not answer.
    """
    stop = Stop()
    stop.listen()
    try:
        port = await gateway.start(settings.listen)
    except BaseException:
        await gateway.close()
        raise
    if port:
        log.info("serving", extra={"listen": settings.listen, "port": port})
        on_ready(port)
    else:
        log.info("keeping")
    await stop.asked.wait()
    log.info("draining", extra={"grace_s": settings.drain_grace.total_seconds()})
    drain = asyncio.create_task(_drain(gateway, settings, also_drain))
    hurried = asyncio.create_task(stop.hurried.wait())
    await asyncio.wait({drain, hurried}, return_when=asyncio.FIRST_COMPLETED)
    if not drain.done():
        log.warning("stopping now, as a second signal asks")
        drain.cancel()
        await asyncio.wait({drain})
        await gateway.abandon()
    hurried.cancel()
    await asyncio.wait({hurried})
    if not drain.cancelled():
        drain.result()


async def _drain(
    gateway: Gateway,
    settings: Settings,
    also_drain: Callable[[], Coroutine[object, object, None]] | None,
) -> None:
    beside = asyncio.create_task(also_drain()) if also_drain is not None else None
    await gateway.drain(settings.drain_grace)
    if beside is not None:
        await beside


def _feed(
    url: str,
    deployment_id: bytes,
    hearing: Hearing,
) -> RedisFeed:
    return RedisFeed(
        url,
        deployment_id,
        on_ring=hearing.ring,
        on_resync=hearing.resync,
        on_backlog=hearing.backlog,
        on_changes=hearing.changes,
        wanted=hearing.wanted,
    )


def _publisher(
    settings: Settings,
    deployment_id: bytes,
    on_confirmed: Callable[[list[Dispatch]], None],
    on_refused: Callable[[list[Dispatch]], None],
    on_connected: Callable[[], None],
) -> RabbitPublisher:
    return RabbitPublisher(
        settings.rabbitmq_url,
        deployment_id,
        queue_type=settings.rabbitmq_queue_type,
        on_confirmed=on_confirmed,
        on_refused=on_refused,
        on_connected=on_connected,
    )
