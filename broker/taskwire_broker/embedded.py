"""The broker without a server: queues in this process's memory, for embedded mode.

Nothing here is durable, and nothing needs to be: SQL knows what is not yet dispatched. The
same consumer, envelope and rules as with RabbitMQ work on top, so that embedded mode differs
only in where the bytes wait.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import takewhile

from dramatiq import Middleware

from taskwire_broker.claiming_broker import ClaimingBroker
from taskwire_broker.deliveries import Delivery, DeliverySource
from taskwire_broker.envelope import encode
from taskwire_broker.patience import Patience
from taskwire_broker.ports import Answered, Intake
from taskwire_broker.topology import broker_queue
from taskwire_core.failpoints import ARMED, hit
from taskwire_core.task import Dispatch

_DEAD_LETTERS_KEPT = 1000


class EmbeddedExchange:
    """The queues that one embedded publisher and one embedded broker share; thread-safe."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.queues: dict[str, deque[bytes]] = {}
        self.dead_letters: dict[str, deque[bytes]] = {}

    def put(self, name: str, bodies: Sequence[bytes]) -> None:
        """Append `bodies` to the broker queue `name`."""
        with self.changed:
            self.queues.setdefault(name, deque()).extend(bodies)
            self.changed.notify_all()

    def put_back(self, name: str, bodies: Sequence[bytes]) -> None:
        """Return `bodies` to the front of the broker queue `name`, in their order."""
        with self.changed:
            self.queues.setdefault(name, deque()).extendleft(reversed(bodies))
            self.changed.notify_all()

    def bury(self, name: str, body: bytes) -> None:
        """Keep a rejected body of the broker queue `name`; the newest thousand are kept."""
        with self.changed:
            letters = self.dead_letters.setdefault(name, deque(maxlen=_DEAD_LETTERS_KEPT))
            letters.append(body)

    def ready(self, name: str) -> int:
        """How many bodies wait in the broker queue `name`."""
        with self.changed:
            return len(self.queues.get(name, ()))


class EmbeddedPublisher:
    """See `taskwire_broker.ports.Publisher`; confirms at once and refuses only when closed."""

    def __init__(
        self,
        exchange: EmbeddedExchange,
        deployment_id: bytes,
        *,
        on_confirmed: Answered,
        on_refused: Answered,
        on_connected: Callable[[], None],
    ) -> None:
        self._exchange = exchange
        self._deployment_id = deployment_id
        self._on_confirmed = on_confirmed
        self._on_refused = on_refused
        self._on_connected = on_connected
        self._connected = False
        self._unanswered = 0

    async def start(self) -> None:
        self._connected = True
        asyncio.get_running_loop().call_soon(self._on_connected)

    async def close(self, timeout: float) -> None:
        self._connected = False
        # The answers are callbacks that this loop has scheduled before it comes back here.
        await asyncio.sleep(0)

    @property
    def connected(self) -> bool:
        return self._connected

    @property
    def unanswered(self) -> int:
        return self._unanswered

    def publish(self, dispatches: Sequence[Dispatch]) -> None:
        if not dispatches:
            return
        self._unanswered += len(dispatches)
        answer = self._on_confirmed if self._connected else self._on_refused
        if self._connected:
            by_queue: dict[str, list[bytes]] = {}
            for each in dispatches:
                name = broker_queue(each.queue, self._deployment_id)
                by_queue.setdefault(name, []).append(encode(each, self._deployment_id))
            for name, bodies in by_queue.items():
                self._exchange.put(name, bodies)
        asyncio.get_running_loop().call_soon(self._answer, answer, list(dispatches))
        if ARMED:
            hit("publish.sent")

    def _answer(self, answer: Answered, dispatches: list[Dispatch]) -> None:
        self._unanswered -= len(dispatches)
        answer(dispatches)


class EmbeddedBroker(ClaimingBroker):
    """See `ClaimingBroker`; takes its deliveries from `exchange`."""

    def __init__(
        self,
        exchange: EmbeddedExchange,
        *,
        deployment_id: bytes,
        intake: Intake,
        middleware: Sequence[Middleware] = (),
        patience: Patience | None = None,
    ) -> None:
        self._exchange = exchange
        self._claim_with(intake, deployment_id, patience)
        super().__init__(middleware=list(middleware))
        self.queues = set()

    def _source(self, queue_name: str) -> DeliverySource:
        return EmbeddedSource(self._exchange, queue_name)


class EmbeddedSource:
    """See `taskwire_broker.deliveries.DeliverySource`; it is never lost."""

    def __init__(self, exchange: EmbeddedExchange, name: str) -> None:
        self._exchange = exchange
        self._name = name
        self._prefetch = 0
        self._last_tag = 0
        self._unaccepted: dict[int, bytes] = {}
        self._woken = False

    def open(self, prefetch: int) -> None:
        self._prefetch = prefetch

    def receive(self, timeout: float) -> list[Delivery]:
        with self._exchange.changed:
            if timeout > 0:
                self._exchange.changed.wait_for(self._something_to_do, timeout)
            self._woken = False
            queue = self._exchange.queues.get(self._name, deque())
            count = min(len(queue), self._prefetch - len(self._unaccepted))
            return [self._deliver(queue.popleft()) for _ in range(count)]

    def accept_through(self, tag: int) -> None:
        for each in list(takewhile(lambda one: one <= tag, self._unaccepted)):
            del self._unaccepted[each]

    def reject(self, tag: int) -> None:
        self._exchange.bury(self._name, self._unaccepted.pop(tag))

    def release(self) -> None:
        self._prefetch = 0
        self._exchange.put_back(self._name, list(self._unaccepted.values()))
        self._unaccepted.clear()

    def close(self) -> None:
        self.release()

    def wake(self) -> None:
        with self._exchange.changed:
            self._woken = True
            self._exchange.changed.notify_all()

    def _something_to_do(self) -> bool:
        room = len(self._unaccepted) < self._prefetch
        return self._woken or (room and bool(self._exchange.queues.get(self._name)))

    def _deliver(self, body: bytes) -> Delivery:
        self._last_tag += 1
        self._unaccepted[self._last_tag] = body
        return Delivery(self._last_tag, body)
