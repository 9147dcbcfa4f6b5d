"""Runs one claimed attempt, from the message that names it to its settlement."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from taskwire import Isolation, TaskContext
from taskwire.context import Submit
from taskwire_core.failpoints import ARMED, hit
from taskwire_core.failure import worker_lost
from taskwire_core.ids import to_text
from taskwire_core.recovery import Settlement
from taskwire_core.task import Task
from taskwire_worker.attempt_log import AttemptLog
from taskwire_worker.event_loop import EventLoop
from taskwire_worker.handlers import Handler
from taskwire_worker.held import HeldTask, HeldTasks
from taskwire_worker.isolation.run import deadline_of, parent_of
from taskwire_worker.outcome import Failed, NotBegun, Outcome, decide
from taskwire_worker.progress import ProgressBoard
from taskwire_worker.run import Services, call, call_async

_LOG = logging.getLogger(__name__)


class Isolated(Protocol):
    """Runs attempts in processes of their own."""

    def run(self, held: HeldTask, services: Services) -> Outcome:
        """Runs the attempt and waits for it."""


class Runner:
    """`run` is called by the work loop's threads, once per claimed message; `start` for those
    whose handler is a coroutine."""

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        held: HeldTasks,
        *,
        isolated: Isolated,
        loop: EventLoop,
        progress: ProgressBoard,
        submitter: Callable[[Task], Submit],
        settle: Callable[[Settlement], None],
        done: Callable[[HeldTask], None],
        log: AttemptLog,
        max_result_bytes: int,
    ) -> None:
        self._handlers = handlers
        self._held = held
        self._isolated = isolated
        self._loop = loop
        self._progress = progress
        self._submitter = submitter
        self._settle = settle
        self._done = done
        self._log = log
        self._max_result_bytes = max_result_bytes

    def run(self, task_id: bytes, dispatch: int) -> None:
        """Runs the attempt that this message was claimed for; a stale message does nothing."""
        held = self._held.begin(task_id, dispatch)
        if held is not None:
            self._log.begun(held)
            self._end(held, self._guarded_outcome(held))

    def start(self, task_id: bytes, dispatch: int) -> None:
        """The same on the event loop, without waiting for it."""
        held = self._held.begin(task_id, dispatch)
        if held is None:
            return
        self._log.begun(held)
        handler, data = self._handlers[held.task.type], self._input(held)
        context = self._context(held)
        self._loop.run(
            held,
            lambda: self._coroutine(handler, data, context),
            lambda outcome: self._end(held, outcome),
        )

    def _end(self, held: HeldTask, outcome: Outcome) -> None:
        try:
            settlement = decide(held.task, outcome, stop=held.stopped, now_us=held.now_us())
            self._settle(settlement)
        finally:
            self._progress.forget(held)
            self._done(held)
        self._log.ended(held, self._handlers[held.task.type], outcome, settlement)

    def _guarded_outcome(self, held: HeldTask) -> Outcome:
        try:
            return self._outcome(held)
        except Exception:  # no descriptors left, say: unsettled, the attempt would hang on
            _LOG.exception("attempt could not be run", extra={"task_id": to_text(held.task.id)})
            return Failed(worker_lost())

    def _outcome(self, held: HeldTask) -> Outcome:
        if held.stop.is_set():
            return NotBegun()
        handler = self._handlers[held.task.type]
        # After a crash a task runs alone, so that nobody suffers if it was the culprit.
        if handler.isolation is Isolation.PROCESS or held.task.solo:
            return self._isolated.run(held, self._services(held))
        return self._in_this_thread(handler, held)

    def _in_this_thread(self, handler: Handler, held: HeldTask) -> Outcome:
        most = self._max_result_bytes
        if ARMED:
            hit("run.begun")
        outcome = call(handler, self._input(held), self._context(held), max_result_bytes=most)
        if ARMED:
            hit("run.ended")
        return outcome

    async def _coroutine(self, handler: Handler, data: bytes, context: TaskContext) -> Outcome:
        if ARMED:
            hit("run.coroutine_begun")
        outcome = await call_async(handler, data, context, max_result_bytes=self._max_result_bytes)
        if ARMED:
            hit("run.coroutine_ended")
        return outcome

    def _input(self, held: HeldTask) -> bytes:
        assert held.task.input is not None
        return held.task.input.data

    def _context(self, held: HeldTask) -> TaskContext:
        task, services = held.task, self._services(held)
        return TaskContext(
            id=to_text(task.id),
            type=task.type,
            attempt=task.attempt,
            parent=parent_of(held),
            deadline=deadline_of(held),
            ends_at=held.ends_at,
            stop=held.stop,
            report=services.report,
            submit=services.submit,
        )

    def _services(self, held: HeldTask) -> Services:
        return Services(
            report=lambda report: self._progress.report(held, report),
            submit=self._submitter(held.task),
        )
