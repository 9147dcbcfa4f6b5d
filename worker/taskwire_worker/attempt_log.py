"""What is counted and logged of attempts, and which of their failures somebody should look at.

A handler's own errors are answers, and a time-out is a number. An exception that the handler
did not foresee, a result that is none and a process that died under it are shown to operators.
"""

from __future__ import annotations

import logging
import time

from taskwire_admin.instruments import Instruments
from taskwire_admin.occurrence import ERROR, WARNING, Occurrence
from taskwire_core.caught import Caught, Frame
from taskwire_core.failure import TASKWIRE_DOMAIN, Failure
from taskwire_core.ids import to_text
from taskwire_core.lifecycle import Event, State
from taskwire_core.recovery import Settlement
from taskwire_worker.handlers import Handler
from taskwire_worker.held import HeldTask
from taskwire_worker.metrics import AttemptMetrics
from taskwire_worker.outcome import Died, Failed, Outcome, Returned, Stop

_LOG = logging.getLogger(__name__)

_WORDS = {
    Event.RETRYABLE_ERROR: "retrying",
    Event.FINAL_ERROR: "failed",
}
"""Of the outcomes that the events of the state table do not name as people would."""


class AttemptLog:
    """Called by the threads that run attempts; must cost next to nothing."""

    def __init__(self, instruments: Instruments) -> None:
        self._exceptions = instruments.exceptions
        self._metrics = AttemptMetrics(instruments.registry)

    def begun(self, held: HeldTask) -> None:
        """An attempt has found its thread, or its place on the loop."""
        held.begun_at = time.monotonic()
        self._metrics.begun(held.task.type)

    def ended(
        self, held: HeldTask, handler: Handler, outcome: Outcome, settlement: Settlement
    ) -> None:
        """An attempt came to `outcome`, and its task to where `settlement` puts it."""
        seconds = time.monotonic() - held.begun_at
        self._metrics.ended(held.task.type, _word(settlement, held), seconds)
        if isinstance(outcome, Returned):
            return
        caught = None if held.stopped is not None else _unexpected(outcome, handler)
        again = settlement.target is State.RETRYING
        if isinstance(outcome, Failed):
            _log_failure(held, outcome.failure, caught, again=again)
        if caught is None:
            return
        self._exceptions.record(
            Occurrence(
                caught,
                kind="task",
                place=held.task.type,
                severity=WARNING if again else ERROR,
                fields={"task_id": to_text(held.task.id), "attempt": str(held.task.attempt)},
            )
        )


def _log_failure(held: HeldTask, failure: Failure, caught: Caught | None, *, again: bool) -> None:
    # A handler's own error is an answer, and its text is the caller's.
    level = logging.INFO if caught is None else logging.WARNING if again else logging.ERROR
    _LOG.log(
        level,
        "attempt failed",
        extra={
            "task_id": to_text(held.task.id),
            "task_type": held.task.type,
            "attempt": held.task.attempt,
            "code": failure.code.name,
            "reason": failure.reason,
            **({"error_type": failure.type} if failure.type else {}),
            **(_problem(caught) if caught is not None else {}),
        },
    )


def _problem(caught: Caught) -> dict[str, str]:
    """The masked text of what was raised, and where."""
    place = {"file": f"{caught.frames[-1].file}:{caught.frames[-1].line}"} if caught.frames else {}
    return {"problem": caught.message, **place}


def _word(settlement: Settlement, held: HeldTask) -> str:
    # First and without a look-up, which costs more for an enum: most attempts end so.
    if settlement.event is Event.SUCCESS:
        return "succeeded"
    if held.stopped is Stop.CANCEL:
        return "cancelled"
    return _WORDS.get(settlement.event, settlement.event.value)


def _unexpected(outcome: Outcome, handler: Handler) -> Caught | None:
    match outcome:
        case Failed(caught=Caught() as caught):
            return caught
        # A handler may name its own errors so as well: their texts are its callers'.
        case Failed(failure) if failure.domain == TASKWIRE_DOMAIN and failure.reason in (
            "BAD_RESULT",
            "INPUT_UNREADABLE",
        ):
            return Caught(failure.reason, failure.message, (_place_of(handler),))
        case Died():
            text = "The process that ran the attempt, and no other, ended while it ran."
            return Caught("WORKER_LOST", text, (_place_of(handler),))
        case _:
            return None


def _place_of(handler: Handler) -> Frame:
    """Where the handler is written: its failure has no stack of its own."""
    code = getattr(handler.function, "__code__", None)
    if code is None:
        return Frame(handler.task_type.name, 0, "handler")
    return Frame(code.co_filename, code.co_firstlineno, code.co_name)
