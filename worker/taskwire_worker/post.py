"""One place for a worker process: its life from start to end, one process after another."""

from __future__ import annotations

import logging
import os
import select
import socket
import struct
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from enum import Enum, auto
from multiprocessing.connection import Connection

from taskwire_core.failpoints import lasting
from taskwire_core.ids import new_id, to_text
from taskwire_core.settings import Settings
from taskwire_worker.control import (
    Drain,
    Ended,
    FromChild,
    Go,
    Loaded,
    Observed,
    Refused,
    Renewed,
    Start,
    ToChild,
    Unclaimed,
)
from taskwire_worker.heart import Heart
from taskwire_worker.observation import Observations
from taskwire_worker.ports import WorkerRow
from taskwire_worker.spawn import Child

_LOG = logging.getLogger(__name__)
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 15.0
# A process that has worked this long has not failed "again" when it fails.
_STEADY_S = 30.0
_LAST_BREATH_S = 1.0
# Whole seconds. Both ends have a message go at once, and wait for no lock of Python meanwhile:
# what is on its way for longer is of a process that does not run at all.
_PATIENCE_S = 3


class Phase(Enum):
    """Where the post's process is in its life."""

    EMPTY = auto()
    LOADING = auto()
    REGISTERING = auto()
    WORKING = auto()
    DRAINING = auto()


class Post:
    """A place for one worker process, which `fill`s it again when its process has died."""

    def __init__(
        self,
        settings: Settings,
        heart: Heart,
        observations: Observations,
        *,
        start: Callable[[], Child],
    ) -> None:
        """`start` makes a process that waits to be told who it is."""
        self._settings = settings
        self._heart = heart
        self._observations = observations
        self._start = start
        self._child: Child | None = None
        self._pause_s = _FIRST_PAUSE_S
        self._started_at = 0.0
        self._killed_as_lost = False
        self._has_worked = False
        self._has_drained = False
        self._deaf_since: float | None = None
        self.phase = Phase.EMPTY
        self.worker_id = b""
        self.deaths = 0
        """How many of its processes have not ended in order."""
        self.fill_at = 0.0
        """When an empty post is to be filled, monotonic seconds."""
        self.refusal: str | None = None
        """Why the process cannot start as it is configured; it is not started again then."""

    @property
    def child(self) -> Child | None:
        """The process, None while the post is empty."""
        return self._child

    def fill(self) -> None:
        """Starts a process under a new worker id."""
        self.worker_id = new_id()
        self._killed_as_lost = self._has_drained = False
        self._deaf_since = None
        self._started_at = time.monotonic()
        try:
            self._child = self._start()
        except OSError as error:
            # No memory or no descriptors: what runs in the other posts must not end for it.
            _LOG.error("worker process cannot be started", extra={"problem": str(error)})
            self._plan_successor()
            return
        _limit_waits(self._child.pipe)
        self.phase = Phase.LOADING
        self._send(Start(self.worker_id, self._settings_now()))

    def heard(self, message: FromChild) -> None:
        """The process has said something."""
        match message:
            case Loaded() as loaded if self.phase is Phase.LOADING:
                self.phase = Phase.REGISTERING
                self._heart.register(self._row(loaded))
            case Refused(problem) if self._has_worked:
                # What has worked before may work again; the pauses grow.
                _LOG.error("worker cannot start", extra={"problem": problem})
            case Refused(problem):
                self.refusal = problem
            case Unclaimed(count):
                self._heart.unclaimed(self.worker_id, count)
            case Observed():
                self._observations.heard(self.worker_id, message)
            case Ended():
                self._has_drained = True

    def registered(self, at: float) -> None:
        """The worker is in the store: it may claim."""
        if self.phase is Phase.REGISTERING:
            self.phase = Phase.WORKING
            self._has_worked = True
            self._send(Go(at))
            _LOG.info("worker started", extra={"worker_id": to_text(self.worker_id)})

    def renewed(self, at: float, cancelling: tuple[tuple[bytes, int], ...]) -> None:
        """The lease was renewed, by a request sent at monotonic time `at`.

        A process that reads nothing is not told: the next renewal says it all again. One that
        has no room for it, which takes dozens, for longer than a lease is killed.
        """
        if self._child is None:
            return
        if _has_room(self._child.pipe):
            self._deaf_since = None
            self._send(Renewed(at, cancelling))
        elif self._deaf_since is None:
            self._deaf_since = at
        elif at - self._deaf_since > self._settings.lease_ttl.total_seconds():
            _LOG.error(
                "worker does not listen, worker replaced",
                extra={"worker_id": to_text(self.worker_id)},
            )
            self.kill()

    def lease_gone(self) -> None:
        """The lease ended while nobody renewed it: others run its tasks, under a new id we go
        on."""
        _LOG.error("lease was lost, worker replaced", extra={"worker_id": to_text(self.worker_id)})
        self._killed_as_lost = True
        self.kill()

    def drain(self, grace_s: float) -> None:
        """Asks the process to end in order; an empty post stays empty."""
        if self.phase is Phase.WORKING:
            self._heart.draining(self.worker_id)
            self._send(Drain(grace_s))
        elif self._child is not None:
            # It has not claimed anything yet.
            self.kill()
        self.phase = Phase.DRAINING if self._child is not None else Phase.EMPTY

    def kill(self) -> None:
        """Ends the process now."""
        if self._child is not None:
            self._child.kill()

    def bury(self) -> None:
        """The process has closed its pipe: it ends now, by itself or by us."""
        if self._child is None:
            return
        try:
            self._child.process.wait(_LAST_BREATH_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.process.wait()

    def ended(self) -> bool:
        """Whether the process has ended since; then it is reaped, and its tasks are cared for."""
        if self._child is None or self._child.process.poll() is None:
            return False
        self._hear_the_rest(self._child)
        self._observations.ended(self.worker_id)
        code = self._child.reap()
        self._child = None
        if self._in_order(code):
            self._heart.retired(self.worker_id)
        else:
            _LOG.error(
                "worker died", extra={"worker_id": to_text(self.worker_id), "exit_code": code}
            )
            self.deaths += 1
            self._heart.lost(self.worker_id)
        self.phase = Phase.EMPTY
        self._plan_successor()
        return True

    def _in_order(self, code: int) -> bool:
        if self._killed_as_lost:
            return False
        if self.phase is Phase.WORKING:
            # Not by its exit code: a handler may end its process with 0.
            return self._has_drained
        return code == 0 or self.phase is Phase.DRAINING

    def _hear_the_rest(self, child: Child) -> None:
        """What the process said before it ended: its last word is in the pipe still."""
        try:
            while child.pipe.poll():
                self.heard(child.pipe.recv())
        except (EOFError, OSError):
            return

    def _plan_successor(self) -> None:
        now = time.monotonic()
        if now - self._started_at > _STEADY_S:
            self._pause_s = _FIRST_PAUSE_S
        self.fill_at = now + self._pause_s
        self._pause_s = min(_LONGEST_PAUSE_S, self._pause_s * 2)

    def _settings_now(self) -> Settings:
        if not self.deaths:
            return self._settings
        return replace(self._settings, failpoints=lasting(self._settings.failpoints))

    def _row(self, loaded: Loaded) -> WorkerRow:
        assert self._child is not None
        return WorkerRow(
            id=self.worker_id,
            host=socket.gethostname(),
            pid=self._child.process.pid,
            slots=loaded.slots,
            types=loaded.types,
            queues=loaded.queues,
        )

    def _send(self, message: ToChild) -> None:
        if self._child is None:
            return
        try:
            self._child.pipe.send(message)
        except BlockingIOError:
            # Half a message is in its pipe: nothing that follows can be read.
            self.kill()
        except OSError:
            # The process is dead or dying; whoever reaps it does the rest.
            _LOG.debug("worker did not listen", extra={"pid": os.getpid()})


def _limit_waits(pipe: Connection) -> None:
    """Has what would wait for the other end longer than _PATIENCE_S raise BlockingIOError."""
    ours = socket.socket(fileno=pipe.fileno())
    try:
        for direction in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
            ours.setsockopt(socket.SOL_SOCKET, direction, struct.pack("ll", _PATIENCE_S, 0))
    finally:
        ours.detach()


def _has_room(pipe: Connection) -> bool:
    """Whether most of what the pipe can hold is free, as Linux tells it of a Unix socket."""
    room = select.poll()
    room.register(pipe, select.POLLOUT)
    return bool(room.poll(0))
