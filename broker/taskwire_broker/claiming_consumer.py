"""The consumer behind every queue: gathers deliveries, claims them in groups, acknowledges.

The worker's thread for a queue asks it for what to run. What it hands out is claimed in SQL, and
acknowledged when it asks again, so that a later ack or nack, as Dramatiq's own Worker makes them,
has nothing left to do and cannot hit another delivery. It reconnects by itself.

A delivery is `held` from its arrival to its claim, for at most a second: then it goes back to
the queue, for workers that have free slots.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from dramatiq import Message
from dramatiq.broker import Consumer, MessageProxy

from taskwire_broker.deliveries import Delivery, DeliverySource, SourceLost
from taskwire_broker.envelope import BadEnvelope, ForeignDeployment, decode
from taskwire_broker.patience import Patience
from taskwire_broker.ports import Intake
from taskwire_broker.prefetch import MAX_PREFETCH, Prefetch
from taskwire_broker.topology import logical_queue
from taskwire_core.errors import StoreUnavailable
from taskwire_core.failpoints import ARMED, hit
from taskwire_core.ids import to_text
from taskwire_core.reconnect import reconnect_pauses
from taskwire_core.task import Dispatch

_NO_ROOM_PAUSE_S = 0.01

log = logging.getLogger(__name__)


class _Held(NamedTuple):
    tag: int
    dispatch: Dispatch
    arrived: float


class ClaimingConsumer(Consumer):
    """Iterates over claimed messages of one queue; None when there was nothing for a while.

    `claiming` is shared by the consumers of a process, so that `Intake.free` and
    `Intake.claim` of one cannot interleave with another's and overfill the slots.
    """

    def __init__(
        self,
        *,
        source: DeliverySource,
        name: str,
        deployment_id: bytes,
        intake: Intake,
        claiming: threading.Lock,
        idle: float,
        patience: Patience | None = None,
        max_prefetch: int = MAX_PREFETCH,
    ) -> None:
        self._source = source
        self._queue = logical_queue(name)
        self._broker_queue = name
        self._deployment_id = deployment_id
        self._deployment_hex = deployment_id.hex()
        self._intake = intake
        self._claiming = claiming
        self._idle = idle
        self._patience = patience or Patience()
        self._prefetch = Prefetch(hold=self._patience.hold, maximum=max_prefetch)
        self._held: deque[_Held] = deque()
        self._ready: deque[Dispatch] = deque()
        self._to_accept: int | None = None
        self._wider = False
        self._open = False
        self._not_before = 0.0
        self._pauses = reconnect_pauses()
        self._store_failed_since: float | None = None
        self._no_room = False
        self._lost_before = False
        # Whoever has this lock may use the source; a drain comes from another thread.
        self._using_source = threading.Lock()
        self._ended = threading.Event()

    @property
    def held(self) -> int:
        """How many deliveries are here and neither claimed nor given back."""
        return len(self._held)

    def claimed(self) -> list[Dispatch]:
        """What was claimed and is to run now; empty when there was nothing for a while."""
        if not self._ready:
            with self._using_source:
                self._guarded_step()
            if self._ended.is_set():
                # The thread that iterates ends when its owner says so; it must not spin.
                time.sleep(min(self._idle, 0.05))
        ready = list(self._ready)
        self._ready.clear()
        return ready

    def __next__(self) -> MessageProxy | None:
        """The same for Dramatiq's own Worker, one message after the other."""
        if not self._ready:
            self._ready.extend(self.claimed())
        return self._message(self._ready.popleft()) if self._ready else None

    def ack(self, message: MessageProxy) -> None:
        """Nothing: the message was acknowledged because it was claimed."""

    def nack(self, message: MessageProxy) -> None:
        """Nothing: what becomes of a claimed task is decided in SQL."""

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Nothing: a claimed task that was not begun is handed back in SQL."""

    def close(self) -> None:
        """End within about a second; what is unclaimed goes back to the queue."""
        self.end(timeout=1.0)

    def end(self, *, timeout: float) -> bool:
        """Give back what is unclaimed and disconnect, from any thread; whether it was done.

        Messages that are claimed already are still handed out.
        """
        self._ended.set()
        self._source.wake()
        if not self._using_source.acquire(timeout=max(timeout, 0)):
            return False
        try:
            self._leave()
        finally:
            self._using_source.release()
        return True

    # -- one step in the consumer's thread ----------------------------------------------------

    def _guarded_step(self) -> None:
        try:
            self._step()
        except Exception:
            # A defect may have left deliveries that nobody holds, at a broker that waits for
            # their acknowledgement: without the connection they come again.
            self._disconnect()
            raise

    def _step(self) -> None:
        if self._ended.is_set():
            self._leave()
            return
        try:
            if self._open:
                self._accept()
                self._gather()
                self._claim()
                self._give_back_what_waits_too_long()
            else:
                self._open_when_there_is_room()
        except SourceLost as problem:
            self._lost(problem)

    def _open_when_there_is_room(self) -> None:
        wait = self._not_before - time.monotonic()
        if wait > 0:
            self._ended.wait(min(wait, self._patience.tick))
            self._source.receive(0)
            return
        free = self._intake.free(self._queue)
        if free <= 0:
            self._wait_for_a_slot()
            self._source.receive(0)
            return
        self._source.open(self._prefetch.at_least(free))
        self._open = True
        if self._lost_before:
            self._lost_before = False
            log.info("Receiving from RabbitMQ again", extra={"queue": self._queue})
        self._pauses = reconnect_pauses()

    def _gather(self) -> None:
        timeout = self._idle
        if self._held:
            # Only the lack of a slot or of the store leaves something held.
            timeout = 0.0
            if self._store_failed_since is None:
                self._wait_for_a_slot()
            else:
                self._ended.wait(
                    min(max(self._not_before - time.monotonic(), 0), self._patience.tick)
                )
        deliveries = self._source.receive(timeout)
        now = time.monotonic()
        for delivery in deliveries:
            try:
                dispatch = decode(
                    delivery.body, queue=self._queue, deployment_id=self._deployment_id
                )
            except BadEnvelope as problem:
                self._refuse(delivery, problem)
            else:
                self._held.append(_Held(delivery.tag, dispatch, now))
        if ARMED and deliveries:
            hit("claim.received")

    def _wait_for_a_slot(self) -> None:
        if self._no_room:
            # There was a slot the last time, but not for this queue: ask at a bearable pace.
            self._ended.wait(_NO_ROOM_PAUSE_S)
        self._no_room = self._intake.wait_for_slot(
            min(self._patience.tick, self._patience.hold / 4)
        )

    def _refuse(self, delivery: Delivery, problem: BadEnvelope) -> None:
        """To the dead-letter queue: put back, it would come again at once and for ever."""
        if isinstance(problem, ForeignDeployment):
            log.error(
                "A message of another deployment was in our queue; it is kept as a dead letter."
                " Give each database its own RabbitMQ vhost",
                extra={"queue": self._queue},
            )
        else:
            log.warning(
                "A message that is not ours was refused; it is kept as a dead letter",
                extra={"queue": self._queue, "problem": str(problem)},
            )
        self._source.reject(delivery.tag)
        self._intake.refused(self._queue, delivery.body, str(problem))

    def _claim(self) -> None:
        if not self._held or time.monotonic() < self._not_before:
            return
        if not self._claiming.acquire(timeout=self._patience.tick):
            return
        try:
            free = self._intake.free(self._queue)
            group = [self._held[i] for i in range(min(free, len(self._held)))]
            mine = self._intake.claim([each.dispatch for each in group]) if group else []
        except StoreUnavailable:
            self._store_failed()
            return
        except Exception:
            # A defect in the worker must neither end this thread nor lose the messages.
            log.exception("Claiming failed", extra={"queue": self._queue})
            self._store_failed()
            return
        finally:
            self._claiming.release()
        if group:
            self._claimed(group, mine, free)

    def _claimed(self, group: list[_Held], mine: list[Dispatch], free: int) -> None:
        self._store_failed_since = None
        self._no_room = False
        for _ in group:
            self._held.popleft()
        # Acknowledged by the next step: if that fails the claim stands all the same, and the
        # copies that the broker delivers again are claimed by nobody.
        self._ready.extend(mine)
        self._to_accept = group[-1].tag
        self._wider = self._prefetch.claimed(len(group), free=free, now=time.monotonic())
        if ARMED:
            hit("claim.committed")

    def _accept(self) -> None:
        """Acknowledge what was claimed in the step before, whose tasks are on their way by now."""
        tag, self._to_accept = self._to_accept, None
        if tag is None:
            return
        self._source.accept_through(tag)
        if ARMED:
            hit("claim.acknowledged")
        if self._wider and not self._held and not self._ended.is_set():
            self._source.release()
            self._source.open(self._prefetch.size)

    def _message(self, dispatch: Dispatch) -> MessageProxy:
        task = to_text(dispatch.task_id)
        return MessageProxy(
            Message(
                queue_name=self._broker_queue,
                actor_name=dispatch.type,
                args=(),
                kwargs={
                    "deployment": self._deployment_hex,
                    "task": task,
                    "dispatch": dispatch.number,
                },
                options={},
                message_id=f"{task}.{dispatch.number}",
                message_timestamp=0,
            )
        )

    # -- what can go wrong --------------------------------------------------------------------

    def _store_failed(self) -> None:
        now = time.monotonic()
        if self._store_failed_since is None:
            self._store_failed_since = now
            self._pauses = reconnect_pauses()
        self._not_before = now + next(self._pauses)

    def _give_back_what_waits_too_long(self) -> None:
        if not self._held:
            return
        store_away = self._store_failed_since is not None
        patience = self._patience.store if store_away else self._patience.hold
        if time.monotonic() - self._held[0].arrived < patience:
            return
        if store_away:
            # One delivery is enough to find out whether the store is back.
            self._store_failed_since = None
            self._not_before = time.monotonic() + self._patience.store / 2
        self._accept()
        self._prefetch.given_back()
        self._open = False
        self._held.clear()
        self._source.release()

    def _lost(self, problem: SourceLost) -> None:
        if not self._lost_before:
            self._lost_before = True
            log.warning(
                "Lost the connection to RabbitMQ; connecting again",
                extra={"queue": self._queue, "problem": str(problem)},
            )
        self._disconnect()
        self._not_before = time.monotonic() + next(self._pauses)

    def _leave(self) -> None:
        try:
            self._accept()
        except SourceLost:
            pass  # The copies that the broker delivers again are claimed by nobody.
        except Exception:
            log.exception("Acknowledging failed", extra={"queue": self._queue})
        finally:
            self._disconnect()

    def _disconnect(self) -> None:
        """Without a claim nothing that is held is ours; the broker delivers it again."""
        self._open = False
        self._to_accept = None
        self._held.clear()
        self._source.close()
