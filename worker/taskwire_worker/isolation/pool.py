"""A warm pool of isolation children.

Every thread of the worker may run one attempt in a child at a time, so there are never more
children than threads. Idle children are kept: starting one takes some tenths of a second.
"""

from __future__ import annotations

import itertools
import logging
import queue
import threading
import time
from concurrent.futures import Future
from dataclasses import replace

from taskwire_core.failpoints import lasting
from taskwire_core.failure import worker_lost
from taskwire_worker.held import HeldTask
from taskwire_worker.isolation.run import IsolatedRun
from taskwire_worker.isolation.wire import ChildSetup, NotReady
from taskwire_worker.outcome import Died, Failed, NotBegun, Outcome
from taskwire_worker.run import Services
from taskwire_worker.spawn import Child, spawn

_LOG = logging.getLogger(__name__)
_MODULE = "taskwire_worker.isolation.child"
_START_TIMEOUT_S = 60.0
_MAX_CHILDREN_PER_ATTEMPT = 3


class ChildDidNotStart(Exception):
    """A child could not load its handlers, or did not within a minute; one line."""


class IsolationPool:
    """`run` from any thread; `close` ends every child."""

    def __init__(
        self, setup: ChildSetup, *, warm: int, cancel_grace_s: float, max_result_bytes: int
    ) -> None:
        self._setup = setup
        self._cancel_grace_s = cancel_grace_s
        self._max_result_bytes = max_result_bytes
        self._lock = threading.Lock()
        self._idle: list[Child] = []
        self._runs: set[IsolatedRun] = set()
        self._numbers = itertools.count(1)
        self._closed = False
        self._wanted: queue.SimpleQueue[Future[Child] | None] = queue.SimpleQueue()
        # One thread starts all children and never ends: they die with it (see `spawn`).
        threading.Thread(target=self._start_children, name="isolation", daemon=True).start()
        for _ in range(warm):
            self._order().add_done_callback(self._put_back_started)

    def run(self, held: HeldTask, services: Services) -> Outcome:
        """Runs the attempt in a child of its own and waits for it."""
        for _ in range(_MAX_CHILDREN_PER_ATTEMPT):
            try:
                child = self._take()
            except ChildDidNotStart as error:
                _LOG.error("isolation child did not start", extra={"problem": str(error)})
                break
            if held.stop.is_set():  # while the child was started
                self._put_back(child, reusable=True)
                return NotBegun()
            run = self._run_in(child, held, services)
            try:
                outcome = run.wait()
            finally:
                self._finished(run, child)
            if outcome == Died():
                self._setup = replace(self._setup, failpoints=lasting(self._setup.failpoints))
            # A child that died before it called the handler says nothing about the task.
            if run.begun or outcome != Died():
                return outcome
        return Failed(worker_lost())

    def _run_in(self, child: Child, held: HeldTask, services: Services) -> IsolatedRun:
        run = IsolatedRun(
            child,
            held,
            number=next(self._numbers),
            services=services,
            cancel_grace_s=self._cancel_grace_s,
            max_result_bytes=self._max_result_bytes,
        )
        with self._lock:
            self._runs.add(run)
        return run

    def _finished(self, run: IsolatedRun, child: Child) -> None:
        with self._lock:
            self._runs.discard(run)
        self._put_back(child, reusable=run.child_is_idle)

    @property
    def children(self) -> int:
        """How many children run an attempt or wait for one."""
        return len(self._idle) + len(self._runs)

    def tick(self) -> None:
        """Kills what should have been killed by its own thread, which hangs in a read."""
        now = time.monotonic()
        with self._lock:
            late = [run for run in self._runs if run.overdue(now)]
        for run in late:
            run.kill()

    def close(self) -> None:
        """Kills every child; an attempt that runs in one ends as killed."""
        with self._lock:
            self._closed = True
            runs, idle, self._idle = list(self._runs), self._idle, []
        self._wanted.put(None)
        for run in runs:
            run.kill()
        for child in idle:
            child.kill()
            child.reap()

    def _take(self) -> Child:
        with self._lock:
            while self._idle:
                child = self._idle.pop()
                if not child.ended:
                    return child
                child.kill()
                child.reap()
        return self._order().result()

    def _put_back(self, child: Child, *, reusable: bool) -> None:
        with self._lock:
            if reusable and not self._closed:
                self._idle.append(child)
                return
        child.kill()
        child.reap()

    def _put_back_started(self, started: Future[Child]) -> None:
        if (error := started.exception()) is not None:
            _LOG.error("isolation child did not start", extra={"problem": str(error)})
        else:
            self._put_back(started.result(), reusable=True)

    def _order(self) -> Future[Child]:
        order: Future[Child] = Future()
        self._wanted.put(order)
        return order

    def _start_children(self) -> None:
        while (order := self._wanted.get()) is not None:
            try:
                self._start_child(order)
            except (OSError, RuntimeError) as error:
                # No memory, descriptors or threads. This one must live: all children die with it.
                order.set_exception(ChildDidNotStart(str(error)))

    def _start_child(self, order: Future[Child]) -> None:
        child = spawn(_MODULE)
        # Waiting for a child to load its handlers takes a while, others start meanwhile.
        waiting = threading.Thread(target=self._finish_start, args=(child, order), daemon=True)
        try:
            waiting.start()
        except RuntimeError:
            self._put_back(child, reusable=False)
            raise

    def _finish_start(self, child: Child, order: Future[Child]) -> None:
        try:
            problem = _greet(child, self._setup)
        except (EOFError, OSError):
            problem = "it ended while it loaded its handlers"
        except Exception:  # the order must be answered whatever this one met
            _LOG.exception("isolation child could not be greeted")
            problem = "it could not be greeted"
        if problem is None:
            order.set_result(child)
            return
        self._put_back(child, reusable=False)
        order.set_exception(ChildDidNotStart(problem))


def _greet(child: Child, setup: ChildSetup) -> str | None:
    child.pipe.send(setup)
    if not child.pipe.poll(_START_TIMEOUT_S):
        return f"it was not ready within {_START_TIMEOUT_S:.0f} s"
    answer = child.pipe.recv()
    return answer.problem if isinstance(answer, NotReady) else None
