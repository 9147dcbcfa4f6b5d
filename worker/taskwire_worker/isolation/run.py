"""One attempt in an isolation child, seen from the worker's thread that waits for it."""

from __future__ import annotations

import os
import queue
import threading
import time
from concurrent.futures import Future
from datetime import UTC, datetime
from multiprocessing.connection import wait

from taskwire.errors import HandlerError
from taskwire.submission import SubmitTaskRequest
from taskwire_core.ids import to_text
from taskwire_worker.held import HeldTask
from taskwire_worker.isolation.wire import (
    Job,
    JobBegun,
    JobEnded,
    JobProgress,
    JobSubmits,
    StopJob,
    Submitted,
)
from taskwire_worker.outcome import Died, Killed, Outcome, Stop
from taskwire_worker.run import Services
from taskwire_worker.spawn import Child

_WATCHDOG_SLACK_S = 2.0


class IsolatedRun:
    """Waits for an attempt; kills its child when time is up or it does not stop when told."""

    def __init__(
        self,
        child: Child,
        held: HeldTask,
        *,
        number: int,
        services: Services,
        cancel_grace_s: float,
        max_result_bytes: int,
    ) -> None:
        self._child = child
        self._held = held
        self._number = number
        self._services = services
        self._answers: queue.SimpleQueue[Submitted] = queue.SimpleQueue()
        self._bell: int | None = None
        self._ringing = threading.Lock()
        self._cancel_grace_s = cancel_grace_s
        self._max_result_bytes = max_result_bytes
        self._kill_at = held.ends_at
        self._killed = False
        self._told = False
        self.begun = False
        """Whether the handler has been called, as far as we know."""
        self.child_is_idle = False
        """Whether the child has ended the job in order and can take the next."""

    def wait(self) -> Outcome:
        """What the attempt came to."""
        # Stops and answers come from other threads: they wake the wait through a descriptor.
        bell = self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        try:
            self._held.stop.when_set(self._ring)
            return self._until_death(bell)
        except (EOFError, OSError):
            return Killed() if self._killed else Died()
        finally:
            self._held.stop.when_set(None)
            with self._ringing:
                self._bell = None
            os.close(bell)

    def _ring(self) -> None:
        with self._ringing:
            if self._bell is not None:
                os.eventfd_write(self._bell, 1)

    def _until_death(self, bell: int) -> Outcome:
        # A process that the handler forked keeps the pipe open when the child is gone.
        death = os.pidfd_open(self._child.process.pid)
        try:
            return self._converse(bell, death)
        finally:
            os.close(death)

    def kill(self) -> None:
        """Ends the child, and with it the attempt."""
        self._killed = True
        self._child.kill()

    def overdue(self, now: float) -> bool:
        """Whether `wait` should have killed the child by monotonic time `now`, and did not."""
        return self._kill_at is not None and now > self._kill_at + _WATCHDOG_SLACK_S

    def _converse(self, bell: int, death: int) -> Outcome:
        pipe = self._child.pipe
        pipe.send(self._job())
        while True:
            ready = wait([pipe, bell, death], self._time_left())
            if pipe in ready:
                match pipe.recv():
                    case JobEnded(self._number, outcome):
                        self.child_is_idle = not self._killed
                        return outcome
                    case JobProgress(self._number, report):
                        self._services.report(report)
                    case JobSubmits(self._number, serial, request):
                        self._submit(serial, SubmitTaskRequest.FromString(request))
                    case JobBegun(self._number):
                        self.begun = True
            elif bell in ready:
                os.eventfd_read(bell)
                self._tell_to_stop()
                self._pass_answers_on()
            elif death in ready:
                raise EOFError
            else:
                self.kill()
                return Killed()

    def _tell_to_stop(self) -> None:
        if (why := self._held.stopped) is None or self._told:
            return
        self._told = True
        # At the end of a drain there has been a grace already.
        grace_s = self._cancel_grace_s if why is Stop.CANCEL else min(self._cancel_grace_s, 1.0)
        stop_by = time.monotonic() + grace_s
        self._kill_at = stop_by if self._kill_at is None else min(self._kill_at, stop_by)
        self._child.pipe.send(StopJob(self._number, why))

    def _submit(self, serial: int, request: SubmitTaskRequest) -> None:
        def answered(done: Future[str]) -> None:
            error = done.exception()
            assert error is None or isinstance(error, HandlerError)
            self._answers.put(Submitted(serial, done.result() if error is None else error))
            self._ring()

        self._services.submit(request).add_done_callback(answered)

    def _pass_answers_on(self) -> None:
        # In the thread of the run, because a child that does not read makes its writer wait.
        while not self._answers.empty():
            self._child.pipe.send(self._answers.get())

    def _time_left(self) -> float | None:
        return None if self._kill_at is None else max(0.0, self._kill_at - time.monotonic())

    def _job(self) -> Job:
        task = self._held.task
        assert task.input is not None
        return Job(
            number=self._number,
            type=task.type,
            task_id=to_text(task.id),
            attempt=task.attempt,
            parent=parent_of(self._held),
            input=task.input.data,
            deadline=deadline_of(self._held),
            ends_at=self._held.ends_at,
            max_result_bytes=self._max_result_bytes,
        )


def parent_of(held: HeldTask) -> str:
    """The id of the attempt's parent, as its context shows it."""
    return "" if held.task.parent is None else to_text(held.task.parent)


def deadline_of(held: HeldTask) -> datetime | None:
    """When the attempt times out, as its context shows it."""
    deadline = held.task.run_deadline_us
    return None if deadline is None else datetime.fromtimestamp(deadline / 1e6, UTC)
