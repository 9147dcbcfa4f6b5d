"""The event loop of a worker process, in a thread of its own: where `async def` handlers run.

One loop for all of them, so that a client or a pool that a handler module keeps may be shared.
A handler that blocks it delays the others; leases do not depend on it.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
import time
from collections.abc import Callable, Coroutine

from taskwire_core.failure import worker_lost
from taskwire_worker.held import HeldTask
from taskwire_worker.outcome import Failed, NotBegun, Outcome

_LOG = logging.getLogger(__name__)

Attempt = Callable[[], Coroutine[object, object, Outcome]]


class EventLoop:
    """`start`, then `run` from any thread, then `stop` once.

    An attempt is cancelled when it is told to stop and at its deadline; what it still does then
    is its cleanup, and `grace_s` seconds later it is cancelled once more.
    """

    def __init__(self, *, grace_s: float) -> None:
        self._grace_s = grace_s
        self._stopping = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="event loop", daemon=True)

    def start(self) -> None:
        """Begins to run attempts."""
        self._thread.start()

    def run(self, held: HeldTask, attempt: Attempt, done: Callable[[Outcome], None]) -> None:
        """Runs the attempt; `done` is called on the loop with what it came to."""
        self._loop.call_soon_threadsafe(self._begin, held, attempt, done)

    def stop(self, timeout_s: float) -> None:
        """Ends the loop, and with it what the handlers have left behind there."""
        self._stopping = True
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout_s)
        else:
            self._loop.close()

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            loop = runner.get_loop()
            while not self._stopping:
                try:
                    loop.run_forever()
                except BaseException:  # SystemExit in a task that a handler had started
                    _LOG.exception("the event loop was interrupted and goes on")

    def _begin(self, held: HeldTask, attempt: Attempt, done: Callable[[Outcome], None]) -> None:
        if held.stop.is_set():
            done(NotBegun())
            return
        task = self._loop.create_task(attempt())
        cancel = functools.partial(self._cancel, task)
        timer = None
        if held.ends_at is not None:
            left_s = max(0.0, held.ends_at - time.monotonic())
            timer = self._loop.call_later(left_s, cancel)

        def ended(task: asyncio.Task[Outcome]) -> None:
            held.stop.when_set(None)
            if timer is not None:
                timer.cancel()
            done(_outcome_of(task))

        task.add_done_callback(ended)
        held.stop.when_set(lambda: self._loop.call_soon_threadsafe(cancel))

    def _cancel(self, task: asyncio.Task[Outcome]) -> None:
        task.cancel()
        # A second one ends a cleanup that hangs. Whoever swallows that too is not stopped any
        # more: like a thread that does not listen, it keeps its place.
        self._loop.call_later(self._grace_s, task.cancel)


def _outcome_of(task: asyncio.Task[Outcome]) -> Outcome:
    if task.cancelled():  # before its first step
        return NotBegun()
    if (defect := task.exception()) is not None:
        _LOG.error("attempt could not be run", exc_info=defect)
        return Failed(worker_lost())
    return task.result()
