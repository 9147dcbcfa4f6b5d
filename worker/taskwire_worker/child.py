"""A worker process: a crew, and a main thread that listens to the supervisor."""

from __future__ import annotations

import os
import signal
import struct
import sys
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from types import FrameType

from taskwire_core.errors import ConfigurationError, StoreUnavailable
from taskwire_core.failpoints import arm
from taskwire_core.interpreter import prepare_interpreter
from taskwire_core.logs import log_to_stderr
from taskwire_worker.control import (
    Drain,
    Ended,
    FromChild,
    Go,
    Loaded,
    Refused,
    Renewed,
    Start,
    Unclaimed,
)
from taskwire_worker.hands import Hands, hire
from taskwire_worker.lease import RenewedLease
from taskwire_worker.observation import Observation
from taskwire_worker.spawn import adopt
from taskwire_worker.workplace import load_workplace

_SETTLE_TIMEOUT_S = 5.0


def run_child(descriptor: int, parent: int) -> None:
    """The worker process's main; returns when it has drained."""
    supervisor = adopt(descriptor, parent)
    start = supervisor.recv()
    assert isinstance(start, Start)
    log_to_stderr(start.settings.log_level, start.settings.log_format)
    arm(start.settings.failpoints, host=parent)
    observation = Observation()
    observation.listen()
    try:
        workplace = load_workplace(start.settings, host=parent)
        lease = RenewedLease(start.settings.lease_ttl.total_seconds())
        hands = hire(workplace, start.worker_id, lease, observation.instruments)
    except ConfigurationError as error:
        supervisor.send(Refused(str(error)))
        return
    except StoreUnavailable as error:
        # It may be back soon: the supervisor starts another process after a pause.
        sys.exit(f"taskwire worker: the store does not answer: {error}")
    prepare_interpreter()
    supervisor.send(Loaded(tuple(workplace.handlers), workplace.queues, workplace.slots))
    _Child(
        supervisor,
        hands,
        lease,
        observation,
        default_grace_s=start.settings.drain_grace.total_seconds(),
    ).work()


class _Child:
    def __init__(
        self,
        supervisor: Connection,
        hands: Hands,
        lease: RenewedLease,
        observation: Observation,
        *,
        default_grace_s: float,
    ) -> None:
        self._supervisor = supervisor
        self._hands = hands
        self._crew = hands.crew
        self._lease = lease
        self._observation = observation
        self._grace_s: float | None = None
        self._default_grace_s = default_grace_s
        self._unclaimed = 0

    def work(self) -> None:
        """Listens until it is told to drain, and goes on while it drains."""
        signal.signal(signal.SIGTERM, self._terminated)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        while self._grace_s is None:
            self._converse()
        with ThreadPoolExecutor(1, "drain") as draining:
            drained = draining.submit(self._drain, self._grace_s)
            while not drained.done():
                self._converse()
        idle = drained.result()
        self._hands.close()
        self._send(self._observation.everything())
        self._send(Ended())
        if not idle:
            # A handler still runs: its thread must not outlive the hand-back of its task.
            os._exit(0)

    def _drain(self, grace_s: float) -> bool:
        idle = self._crew.drain(grace_s)
        self._crew.finish(_SETTLE_TIMEOUT_S)
        return idle

    def _converse(self) -> None:
        if self._supervisor.poll(0.25):
            self._listen()
        self._report()

    def _listen(self) -> None:
        try:
            message = self._supervisor.recv()
        except (EOFError, OSError):
            # The supervisor is gone, and with it everybody who renews our lease.
            os._exit(1)
        match message:
            case Go(at) if self._grace_s is None:
                self._lease.renewed(at)
                self._crew.start()
            case Renewed(at, cancelling):
                self._lease.renewed(at)
                for task_id, attempt in cancelling:
                    self._crew.cancel(task_id, attempt)
            case Drain(grace_s):
                self._grace_s = grace_s

    def _report(self) -> None:
        if (count := self._crew.unclaimed) != self._unclaimed:
            self._unclaimed = count
            self._send(Unclaimed(count))
        if (news := self._observation.news()) is not None:
            self._send(news)

    def _send(self, message: FromChild) -> None:
        body = ForkingPickler.dumps(message)
        # As `Connection.send` has it, but always in one piece: between two, a handler may keep
        # Python's lock for as long as it likes, and the supervisor would wait for the second.
        rest = struct.pack("!i", len(body)) + body
        try:
            while rest:
                rest = rest[os.write(self._supervisor.fileno(), rest) :]
        except OSError:
            os._exit(1)  # As above.

    def _terminated(self, _number: int, _frame: FrameType | None) -> None:
        self._grace_s = self._default_grace_s
