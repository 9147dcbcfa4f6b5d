"""What a handler is told about the attempt it runs, and how it answers while it runs.

A context belongs to one attempt. Its methods may be called from any thread.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping, MutableMapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Unpack

from google.protobuf.message import Message

from taskwire.errors import Cancelled
from taskwire.submission import SubmitOptions, SubmitTaskRequest, submission

_LOG = logging.getLogger("taskwire.task")
_MAX_UNITS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class ProgressReport:
    """How far a handler says it is: `fraction` 0..1, units (0 = unknown), a short message."""

    fraction: float = 0.0
    completed: int = 0
    total: int = 0
    message: str = ""


# Few tasks are ever told to stop or wait for it: one lock for all spares each one of its own.
_stopping = threading.RLock()


class StopSignal:
    """Tells a running attempt to stop, once; the first reason stays."""

    __slots__ = ("_event", "_told", "_wake", "reason")

    def __init__(self) -> None:
        self._told = False
        self._event: threading.Event | None = None
        self._wake: Callable[[], object] | None = None
        self.reason = ""

    def set(self, reason: str) -> None:
        """Asks the attempt to stop. `reason` is one word, such as "cancel"."""
        with _stopping:
            if not self._told:
                self.reason = reason
                self._told = True
            if self._event is not None:
                self._event.set()
            if self._wake is not None:
                self._wake()

    def when_set(self, wake: Callable[[], object] | None) -> None:
        """Has `wake` called when the attempt is asked to stop, at once if it was already.

        After a call with None it is not called any more, nor being called.
        """
        with _stopping:
            self._wake = wake
            if wake is not None and self._told:
                wake()

    def is_set(self) -> bool:
        """Whether the attempt was asked to stop."""
        return self._told

    def wait(self, timeout: float | None) -> bool:
        """Waits up to `timeout` seconds; whether the attempt was asked to stop."""
        with _stopping:
            if self._told:
                return True
            if self._event is None:
                self._event = threading.Event()
            event = self._event
        return event.wait(timeout)


Submit = Callable[[SubmitTaskRequest], Future[str]]
"""Commits a task of the attempt's; a future of its id. `request_id` is the handler's own key."""


class TaskContext:
    """One attempt of one task, as its handler sees it."""

    def __init__(
        self,
        *,
        id: str,
        type: str,
        attempt: int,
        parent: str = "",
        deadline: datetime | None = None,
        ends_at: float | None = None,
        stop: StopSignal | None = None,
        report: Callable[[ProgressReport], None] | None = None,
        submit: Submit | None = None,
    ) -> None:
        """The worker makes contexts; a test calls `for_test`.

        `ends_at` is the deadline on this host's monotonic clock, in seconds: a wall clock that
        is wrong, or that is set while the handler runs, must not end it.
        """
        self._id = id
        self._type = type
        self._attempt = attempt
        self._parent = parent
        self._deadline = deadline
        self._ends_at = ends_at
        self._stop = stop or StopSignal()
        self._report = report
        self._submit = submit

    @classmethod
    def for_test(
        cls,
        *,
        id: str = "01890a5d-ac96-774b-bcce-b302099a8057",
        type: str = "test.Service/Method",
        attempt: int = 1,
        time_remaining: timedelta | None = None,
    ) -> TestContext:
        """A context to call a handler with in a test; it remembers progress and submissions, and
        can be cancelled."""
        return TestContext(id=id, type=type, attempt=attempt, time_remaining=time_remaining)

    @property
    def id(self) -> str:
        """The task's id, a UUID in text."""
        return self._id

    @property
    def type(self) -> str:
        """The task's type, "package.Service/Method"."""
        return self._type

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1; a handed-back attempt keeps its number."""
        return self._attempt

    @property
    def parent(self) -> str:
        """The id of the task that submitted this one; empty when no task did."""
        return self._parent

    @property
    def idempotency_token(self) -> str:
        """The same in every attempt of this task and in no other task: send it along with
        whatever must happen once."""
        return self._id

    @property
    def deadline(self) -> datetime | None:
        """When this attempt times out (aware, UTC); None: never."""
        return self._deadline

    @property
    def time_remaining(self) -> timedelta | None:
        """How long until the deadline, 0 or more; None without a deadline."""
        if self._ends_at is None:
            return None
        return timedelta(seconds=max(0.0, self._ends_at - time.monotonic()))

    @property
    def cancelled(self) -> bool:
        """Whether to stop now: the task was cancelled, timed out, or is not this worker's."""
        return self._stop.is_set() or self._overdue()

    def wait_cancelled(self, timeout: float | timedelta | None = None) -> bool:
        """Sleeps up to `timeout` (seconds or timedelta), less when told to stop; `cancelled`.

        Raises:
            RuntimeError: In a coroutine, where it would stop all the others: await
                `asyncio.sleep`, which a cancel ends with `asyncio.CancelledError`.
        """
        _refuse_on_event_loop(
            "wait_cancelled would block the event loop: await asyncio.sleep instead, which ends"
            " with asyncio.CancelledError when the task is to stop"
        )
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        if self._ends_at is not None:
            left = max(0.0, self._ends_at - time.monotonic())
            seconds = left if seconds is None else min(seconds, left)
        self._stop.wait(seconds)
        return self.cancelled

    def raise_if_cancelled(self) -> None:
        """Raises `taskwire.errors.Cancelled` when it is time to stop; let it pass through."""
        if self.cancelled:
            raise Cancelled("The task was told to stop.")

    def progress(
        self,
        *,
        fraction: float | None = None,
        completed: int = 0,
        total: int = 0,
        message: str = "",
    ) -> None:
        """Tells watchers how far the task is; cheap, may be called as often as one likes.

        Without `fraction` it is `completed / total`. Watchers see at most 4 reports a second.

        Raises:
            ValueError: `fraction` is not within 0..1, or a number of units is negative or has
                more than 63 bits.
        """
        report = _checked_report(fraction, completed, total, message)
        if self._report is not None:
            self._report(report)

    def submit(self, input: Message, *, key: str = "", **options: Unpack[SubmitOptions]) -> str:
        """Submits another task with the input message `input`; its id, once it is committed.

        However often this task is attempted: the n-th time that an attempt submits the same
        content it is given the task that an earlier one has made then. With `key` the key alone
        tells which submission it is. `options` are those of `taskwire.submission.SubmitOptions`.

        Raises:
            InvalidArgument, NotFound: The submission is refused, as a client's would be; the
                metadata have a sentence for each field.
            AlreadyExists: The key was used with other content.
            Unavailable: The store does not answer; nothing was submitted.
            Cancelled: This attempt is over, and submits nothing any more.
            RuntimeError: In a coroutine: await `submit_async` there.
        """
        _refuse_on_event_loop("submit would block the event loop: await submit_async instead")
        return self._submitted(input, key, options).result()

    async def submit_async(
        self, input: Message, *, key: str = "", **options: Unpack[SubmitOptions]
    ) -> str:
        """The same in an `async def` handler."""
        return await asyncio.wrap_future(self._submitted(input, key, options))

    @property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger whose records carry task_id, task_type and attempt."""
        return _TaskLogger(
            _LOG, {"task_id": self._id, "task_type": self._type, "attempt": self._attempt}
        )

    def _submitted(self, input: Message, key: str, options: SubmitOptions) -> Future[str]:
        if self._submit is None:
            raise RuntimeError(
                "this context cannot submit; TaskContext.for_test makes one that can"
            )
        request = submission(input, **options)
        request.request_id = key
        return self._submit(request)

    def _overdue(self) -> bool:
        return self._ends_at is not None and time.monotonic() >= self._ends_at


class TestContext(TaskContext):
    """The context that `TaskContext.for_test` makes."""

    # Without this pytest takes the class for a collection of tests.
    __test__ = False

    def __init__(
        self, *, id: str, type: str, attempt: int, time_remaining: timedelta | None
    ) -> None:
        self.progress_reports: list[ProgressReport] = []
        self.submissions: list[SubmitTaskRequest] = []
        """What the handler has submitted; nothing is checked in a test."""
        deadline = ends_at = None
        if time_remaining is not None:
            deadline = datetime.now(UTC) + time_remaining
            ends_at = time.monotonic() + time_remaining.total_seconds()
        super().__init__(
            id=id,
            type=type,
            attempt=attempt,
            deadline=deadline,
            ends_at=ends_at,
            report=self.progress_reports.append,
            submit=self._remember,
        )

    def cancel(self, reason: str = "cancel") -> None:
        """Makes `cancelled` true and ends `wait_cancelled`, as a cancel from outside does."""
        self._stop.set(reason)

    def _remember(self, request: SubmitTaskRequest) -> Future[str]:
        self.submissions.append(request)
        made: Future[str] = Future()
        made.set_result(str(uuid.uuid4()))
        return made


class _TaskLogger(logging.LoggerAdapter[logging.Logger]):
    """Binds the task to every record and keeps what the call itself gave in `extra`."""

    # The standard library types these as Any: a record's extra fields can be anything.
    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        bound: Mapping[str, object] = self.extra or {}
        kwargs["extra"] = {**(kwargs.get("extra") or {}), **bound}
        return msg, kwargs


def _refuse_on_event_loop(problem: str) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(problem)


def _checked_report(
    fraction: float | None, completed: int, total: int, message: str
) -> ProgressReport:
    if not 0 <= completed <= _MAX_UNITS or not 0 <= total <= _MAX_UNITS:
        raise ValueError("completed and total must be 0 or more, and less than 2**63")
    if fraction is None:
        fraction = min(1.0, completed / total) if total else 0.0
    if not 0.0 <= fraction <= 1.0:
        raise ValueError(f"fraction must be within 0..1, not {fraction}")
    # Lone surrogates, as in names of files that are no UTF-8, cannot be sent or stored.
    text = str(message).encode("utf-8", "backslashreplace").decode()
    return ProgressReport(float(fraction), int(completed), int(total), text)
