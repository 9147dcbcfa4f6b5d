"""One gateway: every part of it, put together from its ports, started and drained in order."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from taskwire_admin.instruments import Instruments
from taskwire_contracts import Contracts
from taskwire_contracts.limits import Limits
from taskwire_contracts.preparation import Preparation
from taskwire_contracts.validation import Rules
from taskwire_core.errors import StoreUnavailable
from taskwire_core.failpoints import ARMED, hit
from taskwire_core.page_tokens import PageTokens
from taskwire_core.task import AnyRing, Dispatch
from taskwire_gateway import operators
from taskwire_gateway.admission import Admission, Kind
from taskwire_gateway.bulk_ports import BulkStore
from taskwire_gateway.dispatch.dispatcher import Dispatcher
from taskwire_gateway.identity import Identity
from taskwire_gateway.keeper.backlog import Backlog
from taskwire_gateway.keeper.keeper import Chore, Keeper
from taskwire_gateway.keeper.ports import (
    BacklogRows,
    Leadership,
    QueueDepths,
    StrandedRows,
    Sweeps,
)
from taskwire_gateway.keeper.retention import Retention, RetentionRows
from taskwire_gateway.keeper.stranded import StrandedSweep
from taskwire_gateway.metrics import CallMetrics, DispatchMetrics, GatewayState, SweepMetrics
from taskwire_gateway.operators import Operators
from taskwire_gateway.ports import (
    Announcements,
    Broker,
    Clock,
    DispatchMarks,
    Hearing,
    RunNow,
    TaskReader,
    TaskWriter,
)
from taskwire_gateway.queue_ports import PausedQueues, QueueStore
from taskwire_gateway.rpc import task_service
from taskwire_gateway.rpc.durable_calls import DurableCalls
from taskwire_gateway.rpc.ended_tasks import EndedTasks
from taskwire_gateway.rpc.health import Health
from taskwire_gateway.rpc.idle_streams import IdleStreams
from taskwire_gateway.rpc.reflection import Reflection
from taskwire_gateway.rpc.submit_stream import SubmitStreams
from taskwire_gateway.rpc.task_lists import TaskLists
from taskwire_gateway.rpc.task_messages import TaskMessages
from taskwire_gateway.rpc.task_service import TaskService, at_task_service
from taskwire_gateway.rpc.task_watches import TaskWatches
from taskwire_gateway.server import Handlers, Server
from taskwire_gateway.use_cases.cancelling import Cancelling
from taskwire_gateway.use_cases.deleting import Deleting, TaskDeleter
from taskwire_gateway.use_cases.listing import Lists
from taskwire_gateway.use_cases.listing import TaskLists as StoredLists
from taskwire_gateway.use_cases.reading import GroupReader
from taskwire_gateway.use_cases.recording import Recording
from taskwire_gateway.use_cases.retrying import Retrying, TaskRetrier
from taskwire_gateway.use_cases.running_now import RunningNow
from taskwire_gateway.use_cases.submitting import Submitting
from taskwire_gateway.users import service as user_service
from taskwire_gateway.users.managing import Users
from taskwire_gateway.users.ports import UserStore
from taskwire_gateway.users.service import UserService
from taskwire_gateway.watch.change_hub import ChangeHub, ChangeReader
from taskwire_gateway.watch.hub import WatchHub
from taskwire_gateway.watch.watching import Tombstones, Watching
from taskwire_gateway.watch.watching_many import WatchingMany
from taskwire_gateway.workers_alive import LiveWorkers

log = logging.getLogger(__name__)

FLUSH_S = 5.0
FORGET_ACTIVITY_S = 60.0

SERVICES = (task_service.SERVICE, user_service.SERVICE, *operators.SERVICES)
"""taskwire's own services, beside those of the contracts."""


class EndedTaskPorts(TaskDeleter, TaskRetrier, Tombstones, RetentionRows, Protocol):
    """The store's side for ended tasks."""


class Store(
    TaskWriter,
    RunNow,
    TaskReader,
    DispatchMarks,
    BacklogRows,
    StrandedRows,
    Sweeps,
    Leadership,
    Protocol,
):
    """All ports of the store, for those who put a gateway together; consumers see one each."""

    @property
    def changes(self) -> ChangeReader:
        """The change log."""

    @property
    def ended(self) -> EndedTaskPorts:
        """What is done with ended tasks."""

    async def register(self) -> None:
        """This gateway is alive from now on."""

    async def renew(self) -> None:
        """It still is."""

    async def retire(self) -> None:
        """It is no more; its unpublished rows are the others'."""


class RunningFeed(Announcements, Protocol):
    """The feed with its beginning and end."""

    @property
    def listening(self) -> bool:
        """Whether rings arrive now."""

    async def start(self) -> None:
        """Begin to connect."""

    async def close(self) -> None:
        """Disconnect."""


class RunningBroker(Broker, Protocol):
    """The publisher with its beginning and end."""

    async def start(self) -> None:
        """Begin to connect."""

    async def close(self, timeout: float) -> None:
        """Wait for open confirms, then disconnect."""


MakeFeed = Callable[[Hearing], RunningFeed]
"""A feed that calls these."""

MakeBroker = Callable[
    [Callable[[list[Dispatch]], None], Callable[[list[Dispatch]], None], Callable[[], None]],
    RunningBroker,
]
"""A publisher with its three callbacks, on_confirmed, on_refused and on_connected."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a gateway stands on."""

    contracts: Contracts
    store: Store
    queues: QueueStore
    users: UserStore
    identity: Identity
    bulk: BulkStore
    depths: QueueDepths
    clock: Clock
    make_feed: MakeFeed
    make_broker: MakeBroker
    page_tokens: PageTokens
    lists: StoredLists
    instruments: Instruments = field(default_factory=Instruments)


@dataclass(frozen=True, slots=True)
class Tuning:
    """The settings of one gateway."""

    limits: Limits = field(default_factory=Limits)
    lease: timedelta = timedelta(seconds=20)
    max_calls: int = 2_000
    max_watches: int = 20_000
    stack_traces: bool = False
    keeps: bool = True
    """Whether this process stands for keeper."""
    serves: bool = True
    """Whether it listens for calls; a keeper of its own does not."""
    retention: bool = True
    pre_drain: timedelta = timedelta(milliseconds=200)


class Gateway:
    """Made inside the event loop that it runs on; `start` it, then `drain` it, once each."""

    def __init__(self, around: Surroundings, tuning: Tuning) -> None:
        self._store = around.store
        self._tuning = tuning
        registry = around.instruments.registry
        self._calls = CallMetrics(registry)
        self._dispatch_metrics = DispatchMetrics(registry)
        sweeps = SweepMetrics(registry)
        self._services = [*SERVICES, *around.contracts.services]
        self._workers = LiveWorkers(around.store)
        self._hub = WatchHub(around.store)
        self._paused = PausedQueues(around.queues)
        self._dispatcher = Dispatcher(around.store, self._workers, self._paused)
        self._change_hub = ChangeHub(around.store.changes)
        self._feed = around.make_feed(
            Hearing(
                ring=self._rang,
                resync=self._resync,
                backlog=self._dispatcher.spilled.set,
                changes=self._change_hub.heard,
                wanted=self._dispatcher.unmarked,
            )
        )
        self._broker = around.make_broker(
            self._dispatch_metrics.confirmed(self._dispatcher.confirmed),
            self._dispatch_metrics.refused(self._dispatcher.refused),
            self._dispatcher.connected,
        )
        self._admission = Admission(
            around.identity,
            {
                Kind.UNARY: tuning.max_calls,
                Kind.WATCH: tuning.max_watches,
                Kind.DURABLE: tuning.max_watches,
                Kind.TOOLS: tuning.max_watches,
            },
        )
        self._keeper = Keeper(
            leadership=around.store,
            sweeps=around.store,
            backlog=Backlog(around.store, self._dispatcher, self._workers, self._paused),
            stranded=StrandedSweep(around.store, around.depths, around.clock),
            spilled=self._dispatcher.spilled,
            further=[Chore(around.queues.forget_activity, FORGET_ACTIVITY_S)],
            clock=around.clock,
            lease_s=tuning.lease.total_seconds(),
            observe=sweeps.swept,
        )
        self._retention = Retention(
            around.store.ended,
            leads=lambda: self._keeper.leads,
            clock=around.clock,
            tasks=tuning.retention,
            observe=sweeps.swept,
        )
        registry.register(
            GatewayState(
                admission=self._admission,
                dispatcher=self._dispatcher,
                connected=self.connected,
                leads=lambda: self._keeper.leads,
            )
        )
        self._server = Server(self._handlers(around), tuning.limits)
        self._lease: asyncio.Task[None] | None = None
        self.serving = False
        """Whether it works: calls are answered, and should come, where it listens for any."""

    def connected(self) -> dict[str, bool]:
        """What it can do without for a while, and whether it is there."""
        return {"broker": self._broker.connected, "feed": self._feed.listening}

    async def start(self, address: str) -> int:
        """Work, and serve; the port, 0 when it does not listen.

        Raises:
            ConfigurationError: the address cannot be had.
            StoreUnavailable: the store does not answer.
        """
        await self._store.register()
        await self._feed.start()
        self._hub.start(self._feed)
        self._change_hub.start(self._feed)
        self._dispatcher.start(self._dispatch_metrics.publishing(self._broker))
        await self._broker.start()
        await self._workers.now()
        await self._paused.now()
        if self._tuning.keeps:
            self._keeper.start()
        self._retention.loop.start()
        self._operators.runner.loop.start()
        self._lease = asyncio.create_task(self._keep_alive(), name="gateway-lease")
        port = 0
        if self._tuning.serves:
            port = await self._server.start(address)
        self.serving = True
        return port

    async def drain(self, grace: timedelta) -> None:
        """End in order: no new calls, watchers told, calls finished, confirms flushed."""
        self.serving = False
        self._health.end()
        await asyncio.sleep(self._tuning.pre_drain.total_seconds() * random.uniform(0.5, 1))  # noqa: S311
        self._turn_away()
        if ARMED:
            hit("drain.refusing")
        await self._server.stop(grace.total_seconds())
        await self.close()

    async def close(self) -> None:
        """End everything behind the server; for one that never started to serve as well."""
        self._turn_away()
        await self._stop_working()
        await self._keeper.resign()
        await self._server.stop(0)
        await self._hub.close()
        await self._change_hub.close()
        await self._broker.close(FLUSH_S)
        await self._dispatcher.close()
        await self._feed.close()
        if ARMED:
            hit("drain.leaving")
        with suppress(StoreUnavailable):
            await self._store.retire()

    def _rang(self, ring: AnyRing) -> None:
        self._hub.ring(ring)
        self._dispatcher.unmarked.hear(ring)

    def _resync(self) -> None:
        self._hub.resync()
        self._change_hub.resync()

    async def abandon(self) -> None:
        """End what is in progress now, when nobody waits for a drain any more."""
        self._turn_away()
        await self._stop_working()
        await self._server.stop(0)

    def _turn_away(self) -> None:
        """New calls are refused, and who watches is told that it is the server that goes.

        Before any call is cut off, or its end would look as if the caller had gone.
        """
        self._admission.drain()
        self._hub.drain()
        self._change_hub.drain()
        self._submit_streams.drain()
        self._idle_streams.drain()

    async def _stop_working(self) -> None:
        """Nothing is begun any more that nobody called for."""
        await self._operators.runner.loop.close()
        await self._retention.loop.close()
        await self._keeper.stop()
        if self._lease is not None:
            self._lease.cancel()
            with suppress(asyncio.CancelledError):
                await self._lease

    def _handlers(self, around: Surroundings) -> Handlers:
        limits, rules = self._tuning.limits, Rules()
        rules.load()
        tasks = GroupReader(around.store)
        cancelling = Cancelling(around.store)
        watching = Watching(self._hub, tasks, around.store.ended)
        messages = TaskMessages(
            around.contracts,
            self._workers,
            self._paused,
            stack_traces=self._tuning.stack_traces,
        )
        preparation = Preparation(around.contracts, around.clock, limits, rules)
        recording = Recording(self._dispatcher, self._dispatch_metrics.accepted)
        submitting = Submitting(
            preparation=preparation,
            writer=around.store,
            reader=around.store,
            recording=recording,
            workers=self._workers,
            limits=limits,
        )
        ended_tasks = EndedTasks(
            deleting=Deleting(around.store.ended),
            retrying=Retrying(
                preparation=preparation,
                tasks=tasks,
                reader=around.store,
                store=around.store.ended,
                recording=recording,
            ),
            messages=messages,
            rules=rules,
        )
        task_watches = TaskWatches(
            watching=WatchingMany(self._change_hub, around.store.changes, around.lists),
            messages=messages,
            rules=rules,
            clock=around.clock,
            tokens=around.page_tokens,
        )
        self._submit_streams = SubmitStreams(
            submitting=submitting, messages=messages, rules=rules, limits=limits
        )
        service = TaskService(
            contracts=around.contracts,
            submitting=submitting,
            cancelling=cancelling,
            running_now=RunningNow(around.store, self._dispatcher.spilled.set),
            watching=watching,
            tasks=tasks,
            messages=messages,
            workers=self._workers,
            rules=rules,
            clock=around.clock,
            page_tokens=around.page_tokens,
        )
        durable = DurableCalls(
            submitting=submitting,
            cancelling=cancelling,
            watching=watching,
            hub=self._hub,
            tasks=tasks,
            messages=messages,
            gate=self._admission.gate(Kind.DURABLE),
        )
        handlers = {found.path: durable.handler(found) for found in around.contracts.types.values()}
        self._operators = Operators(
            queues=around.queues,
            bulk=around.bulk,
            paused=self._paused,
            contracts=around.contracts,
            preparation=preparation,
            rules=rules,
            page_tokens=around.page_tokens,
            clock=around.clock,
            leads=lambda: self._keeper.leads,
            wake=self._dispatcher.spilled.set,
        )
        handlers |= service.handlers(self._admission)
        handlers |= at_task_service(ended_tasks.methods(self._admission.gate(Kind.UNARY)))
        handlers |= at_task_service(self._submit_streams.methods(self._admission))
        lists = TaskLists(Lists(around.lists, around.page_tokens), messages, rules)
        handlers |= at_task_service(lists.methods(self._admission.gate(Kind.UNARY)))
        handlers |= at_task_service(task_watches.methods(self._admission.gate(Kind.WATCH)))
        handlers |= self._operators.handlers(self._admission)
        users = UserService(Users(around.users), rules, around.page_tokens)
        handlers |= users.handlers(self._admission)
        tools, self._idle_streams = self._admission.gate(Kind.TOOLS), IdleStreams()
        self._health = Health(self._services, tools, self._idle_streams)
        reflection = Reflection(around.contracts.pool, self._services, tools, self._idle_streams)
        handlers |= self._health.handlers() | reflection.handlers()
        return Handlers(handlers, around.contracts, self._calls)

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(self._tuning.lease.total_seconds() / 4)
            try:
                await self._store.renew()
            except StoreUnavailable:
                log.warning("the gateway's lease was not renewed")
            except Exception:
                log.exception("renewing the gateway's lease failed")
