"""The gateway's way to RabbitMQ: one connection on its event loop, pipelined confirms.

A dispatch goes `waiting` → `outstanding` (sent, its confirm is open) → answered. A dispatch
for a queue that this connection has not declared yet waits beside in `undeclared`. Whatever
ends the connection refuses all three: nobody knows what became of the outstanding ones, and
publishing twice is harmless, since a claim is won once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle

from taskwire_broker.connection import connection_parameters
from taskwire_broker.envelope import BadEnvelope, decode, encode
from taskwire_broker.ports import Answered
from taskwire_broker.publisher_link import PublisherLink
from taskwire_broker.topology import broker_queue, logical_queue
from taskwire_core.failpoints import ARMED, hit
from taskwire_core.queue_type import QueueType
from taskwire_core.reconnect import reconnect_pauses
from taskwire_core.task import Dispatch

WINDOW = 1024
"""At most this many confirms are open at once: more gained nothing, and cost memory."""

# One message takes some 10 µs; a longer burst would keep the gateway's loop from its calls.
_BURST = 128

log = logging.getLogger(__name__)


class RabbitPublisher:
    """See `taskwire_broker.ports.Publisher`; for durable queues, messages persistent."""

    def __init__(
        self,
        url: str,
        deployment_id: bytes,
        *,
        queue_type: QueueType = QueueType.CLASSIC,
        on_confirmed: Answered,
        on_refused: Answered,
        on_connected: Callable[[], None],
    ) -> None:
        self._parameters = connection_parameters(url, "taskwire gateway publisher")
        self._deployment_id = deployment_id
        self._queue_type = queue_type
        self._on_confirmed = on_confirmed
        self._on_refused = on_refused
        self._on_connected = on_connected
        self._link: PublisherLink | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._waiting: deque[Dispatch] = deque()
        self._undeclared: dict[str, list[Dispatch]] = {}
        self._outstanding: dict[int, Dispatch] = {}
        self._returned: set[int] = set()
        self._confirmed: list[Dispatch] = []
        self._refused: list[Dispatch] = []
        self._answer_scheduled = False
        self._pump_scheduled = False

    async def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._stay_connected())

    async def close(self, timeout: float) -> None:
        self._closing = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._idle.wait()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._refuse_everything()
        self._answer()

    @property
    def connected(self) -> bool:
        return self._link is not None and self._link.usable and not self._closing

    @property
    def unanswered(self) -> int:
        beside = sum(map(len, self._undeclared.values()))
        answered = len(self._confirmed) + len(self._refused)
        return len(self._waiting) + beside + len(self._outstanding) + answered

    def publish(self, dispatches: Sequence[Dispatch]) -> None:
        if not dispatches:
            return
        self._idle.clear()
        if self.connected:
            idle = not self._outstanding and not self._waiting
            self._waiting.extend(dispatches)
            if idle:
                self._pump()
            else:
                self._schedule_pump()
        else:
            self._refuse(dispatches)

    # -- sending ------------------------------------------------------------------------------

    def _schedule_pump(self) -> None:
        if not self._pump_scheduled:
            self._pump_scheduled = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        """Send what fits into the window, a burst at a time."""
        self._pump_scheduled = False
        link = self._link
        if link is None:
            return
        room = WINDOW - len(self._outstanding) if link.usable else 0
        for _ in range(min(_BURST, room, len(self._waiting))):
            self._send(link, self._waiting.popleft())
        link.flush()
        if self._waiting and link.usable and len(self._outstanding) < WINDOW:
            self._schedule_pump()
        if ARMED:
            hit("publish.sent")

    def _send(self, link: PublisherLink, dispatch: Dispatch) -> None:
        name = broker_queue(dispatch.queue, self._deployment_id, self._queue_type)
        if name not in link.declared:
            self._declare_for(link, name, dispatch)
            return
        link.send(name, encode(dispatch, self._deployment_id))
        self._outstanding[link.last_tag] = dispatch

    def _declare_for(self, link: PublisherLink, name: str, dispatch: Dispatch) -> None:
        beside = self._undeclared.get(name)
        if beside is not None:
            beside.append(dispatch)
            return
        self._undeclared[name] = [dispatch]
        link.declare(name, partial(self._declared, link, name))

    def _declared(self, link: PublisherLink, name: str, worked: bool) -> None:
        if link is not self._link:
            return
        beside = self._undeclared.pop(name, [])
        if not worked:
            self._refuse(beside)
            return
        # Back to the front: they were asked for before whatever waits now.
        self._waiting.extendleft(reversed(beside))
        self._schedule_pump()

    # -- answers ------------------------------------------------------------------------------

    def confirmed(self, tag: int, *, multiple: bool, positive: bool) -> None:
        """The broker has (`positive`) or refuses the message `tag`, or all up to it."""
        for each in self._answered_tags(tag, multiple=multiple):
            dispatch = self._outstanding.pop(each, None)
            if dispatch is None:
                continue
            arrived = positive and each not in self._returned
            self._returned.discard(each)
            (self._confirmed if arrived else self._refused).append(dispatch)
        self._schedule_answer()
        if self._waiting:
            self._schedule_pump()

    def _answered_tags(self, tag: int, *, multiple: bool) -> list[int]:
        if not multiple:
            return [tag]
        tags = []
        for each in self._outstanding:  # in the order of sending
            if each > tag:
                break
            tags.append(each)
        return tags

    def returned(self, link: PublisherLink, name: str, body: bytes) -> None:
        """The broker has no queue `name` for this message; its confirm follows."""
        # Somebody deleted the queue: it is declared again before the next message to it.
        link.declared.discard(name)
        log.warning("A message was returned because its queue is gone", extra={"queue": name})
        with contextlib.suppress(BadEnvelope, ValueError):
            queue = logical_queue(name)
            lost = decode(body, queue=queue, deployment_id=self._deployment_id)
            for tag, each in self._outstanding.items():
                same = each.task_id == lost.task_id and each.number == lost.number
                if same and tag not in self._returned:
                    self._returned.add(tag)
                    return

    def blocked(self) -> None:
        """The broker has an alarm and reads no more: what was not sent is refused."""
        log.warning("RabbitMQ blocks publishers (memory or disk alarm)")
        self._refuse_unsent()

    def unblocked(self) -> None:
        log.warning("RabbitMQ accepts messages again")
        self._announce_connected()

    def _refuse(self, dispatches: Sequence[Dispatch]) -> None:
        if dispatches:
            self._refused.extend(dispatches)
            self._schedule_answer()

    def _refuse_unsent(self) -> None:
        self._refuse([*[d for beside in self._undeclared.values() for d in beside], *self._waiting])
        self._undeclared.clear()
        self._waiting.clear()

    def _refuse_everything(self) -> None:
        self._refuse(list(self._outstanding.values()))
        self._outstanding.clear()
        self._returned.clear()
        self._refuse_unsent()

    def _schedule_answer(self) -> None:
        if not self._answer_scheduled:
            self._answer_scheduled = True
            asyncio.get_running_loop().call_soon(self._answer)

    def _answer(self) -> None:
        self._answer_scheduled = False
        confirmed, self._confirmed = self._confirmed, []
        refused, self._refused = self._refused, []
        if not self.unanswered:
            self._idle.set()
        try:
            if confirmed:
                self._on_confirmed(confirmed)
        finally:
            if refused:
                self._on_refused(refused)

    # -- connection ---------------------------------------------------------------------------

    async def _stay_connected(self) -> None:
        pauses, told = reconnect_pauses(), False
        for parameters in cycle(self._parameters):
            link = PublisherLink(self, parameters)
            try:
                if await link.opened():
                    pauses, told = reconnect_pauses(), False
                    await self._use(link)
                elif not told:
                    log.warning("RabbitMQ cannot be reached for publishing; trying again")
                    told = True
            except Exception:
                # Whatever it was, nothing more would ever be published if this task ended.
                log.exception("publishing to RabbitMQ failed; connecting again")
            finally:
                self._link = None
                self._refuse_everything()
                with contextlib.suppress(Exception):
                    await link.end()
            await asyncio.sleep(next(pauses))

    async def _use(self, link: PublisherLink) -> None:
        self._link = link
        log.info("Connected to RabbitMQ for publishing")
        self._announce_connected()
        await link.closed.wait()
        log.warning("The connection for publishing to RabbitMQ was lost")

    def _announce_connected(self) -> None:
        # From the loop, so that an error in the caller's code cannot end our task.
        asyncio.get_running_loop().call_soon(self._on_connected)
