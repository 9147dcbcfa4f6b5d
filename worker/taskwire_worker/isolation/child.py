"""The isolation child: runs one handler at a time in its main thread, nothing else.

A second thread listens to the worker, so that a cancel arrives while the handler runs.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import queue
import threading
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from multiprocessing.connection import Connection
from pathlib import Path

import taskwire_contracts
from taskwire import ProgressReport, TaskContext
from taskwire.context import StopSignal
from taskwire.errors import HandlerError
from taskwire.submission import SubmitTaskRequest
from taskwire_core.errors import ConfigurationError
from taskwire_core.failpoints import ARMED, arm, hit
from taskwire_core.logs import log_to_stderr
from taskwire_worker.handlers import Handler, load_handlers
from taskwire_worker.isolation.wire import (
    ChildSetup,
    Job,
    JobBegun,
    JobEnded,
    JobProgress,
    JobSubmits,
    NotReady,
    Ready,
    StopJob,
    Submitted,
)
from taskwire_worker.outcome import Outcome
from taskwire_worker.run import call, call_async
from taskwire_worker.spawn import adopt
from taskwire_worker.submissions import uncancellable


def run_child(descriptor: int, parent: int) -> None:
    """The child's main: does not return while its worker lives."""
    pipe = adopt(descriptor, parent)
    setup = pipe.recv()
    assert isinstance(setup, ChildSetup)
    log_to_stderr(setup.log_level, setup.log_format)
    arm(setup.failpoints, host=setup.host)
    try:
        handlers = _load(setup)
    except ConfigurationError as error:
        pipe.send(NotReady(str(error)))
        return
    pipe.send(Ready())
    _Child(pipe, handlers).serve()


def _load(setup: ChildSetup) -> Mapping[str, Handler]:
    paths = [Path(path) for path in setup.contracts]
    contracts = taskwire_contracts.load(paths, examples=setup.examples)
    return load_handlers(setup.modules, contracts)


class _Child:
    def __init__(self, pipe: Connection, handlers: Mapping[str, Handler]) -> None:
        self._pipe = pipe
        self._handlers = handlers
        self._sending = threading.Lock()
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._stops: dict[int, StopSignal] = {}
        self._serials = itertools.count(1)
        self._submitting: dict[int, Future[str]] = {}
        # One loop for the child's whole life, as in the worker: what a handler module keeps
        # there, such as a client, must serve the next job too.
        self._loop = asyncio.Runner()

    def serve(self) -> None:
        """Runs jobs for ever; the listener ends the process when the worker is gone."""
        threading.Thread(target=self._listen, name="listener", daemon=True).start()
        while True:
            self._run(self._jobs.get())

    def _listen(self) -> None:
        try:
            while True:
                message = self._pipe.recv()
                if isinstance(message, Job):
                    self._stops[message.number] = StopSignal()
                    self._jobs.put(message)
                elif isinstance(message, StopJob) and (stop := self._stops.get(message.number)):
                    stop.set(message.reason)
                elif isinstance(message, Submitted):
                    self._submitted(self._submitting.pop(message.serial), message.outcome)
        finally:
            # The pipe is closed or broken: nobody will hear of what the handler does.
            os._exit(0)

    def _run(self, job: Job) -> None:
        def report(progress: ProgressReport) -> None:
            self._send(JobProgress(job.number, progress))

        def submit(request: SubmitTaskRequest) -> Future[str]:
            answer: Future[str] = uncancellable()
            serial = next(self._serials)
            self._submitting[serial] = answer
            self._send(JobSubmits(job.number, serial, request.SerializeToString()))
            return answer

        context = TaskContext(
            id=job.task_id,
            type=job.type,
            attempt=job.attempt,
            parent=job.parent,
            deadline=job.deadline,
            ends_at=job.ends_at,
            stop=self._stops[job.number],
            report=report,
            submit=submit,
        )
        self._send(JobBegun(job.number))
        if ARMED:
            hit("run.isolated_begun")
        outcome = self._outcome(job, context)
        if ARMED:
            hit("run.isolated_ended")
        del self._stops[job.number]
        self._send(JobEnded(job.number, outcome))

    def _outcome(self, job: Job, context: TaskContext) -> Outcome:
        handler, most = self._handlers[job.type], job.max_result_bytes
        if not handler.is_async:
            return call(handler, job.input, context, max_result_bytes=most)
        return self._loop.run(
            self._cancellable(
                call_async(handler, job.input, context, max_result_bytes=most),
                self._stops[job.number],
            )
        )

    async def _cancellable(
        self, attempt: Coroutine[object, object, Outcome], stop: StopSignal
    ) -> Outcome:
        # The deadline is not our business: the worker kills this process then.
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        stop.when_set(lambda: loop.call_soon_threadsafe(task.cancel))
        try:
            return await attempt
        finally:
            stop.when_set(None)

    def _submitted(self, answer: Future[str], outcome: str | HandlerError) -> None:
        if isinstance(outcome, HandlerError):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)

    def _send(self, message: JobBegun | JobProgress | JobSubmits | JobEnded) -> None:
        with self._sending:
            self._pipe.send(message)
