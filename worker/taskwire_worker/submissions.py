"""What handlers submit: checked as a client's submission would be, and committed at once.

An attempt may be repeated, and then submits again what an earlier one has submitted. So every
submission has a request id made of the parent's id and of its content, counted within the
attempt, or of the handler's own key: the same one is recorded once.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future

from msgspec.structs import replace

from taskwire import errors
from taskwire.context import Submit
from taskwire.submission import SubmitTaskRequest
from taskwire_contracts.follow_ups import chain_length
from taskwire_contracts.preparation import Preparation
from taskwire_core.errors import InvalidRequest, NotFound, RequestError, StoreUnavailable
from taskwire_core.failpoints import ARMED, hit
from taskwire_core.follow_up import MAX_GENERATIONS
from taskwire_core.ids import to_text
from taskwire_core.task import NewTask, Task
from taskwire_worker.ports import AttemptOver, KeyReused, Ledger

_LOG = logging.getLogger(__name__)

# No caller's own request id begins so: those are printable.
_PREFIX = "\x1f"


class Submissions:
    """Shared by the attempts of a process, which each ask for a `submitter`."""

    def __init__(self, preparation: Preparation, ledger: Ledger) -> None:
        self._preparation = preparation
        self._ledger = ledger

    def submitter(self, parent: Task) -> Submit:
        """Submits for `parent`'s running attempt, from any thread; a future of the task's id,
        which fails with what the handler is to see."""
        counts = _Counts()
        return lambda request: self._submit(parent, counts, request)

    def _submit(self, parent: Task, counts: _Counts, request: SubmitTaskRequest) -> Future[str]:
        answer: Future[str] = uncancellable()
        try:
            written = self._ledger.submit(self._child(parent, counts, request), parent.attempt)
        except (RequestError, StoreUnavailable) as error:
            answer.set_exception(_as_handlers_see_it(error))
        else:
            written.add_done_callback(lambda done: _answer(answer, done))
        return answer

    def _child(self, parent: Task, counts: _Counts, request: SubmitTaskRequest) -> NewTask:
        _refuse_long_chain(parent, 1 + chain_length(request))
        new = self._preparation.checked(request, owner=parent.owner)
        content = self._preparation.hash_of(request, new.type, new.input.data)
        name = (
            f"k:{new.request_id}" if new.request_id else f"{counts.next(content)}:{content.hex()}"
        )
        return replace(
            new,
            parent=parent.id,
            generation=parent.generation + 1,
            request_id=f"{_PREFIX}{to_text(parent.id)}:{name}",
            request_hash=content,
        )


def uncancellable() -> Future[str]:
    """A future that a cancelled coroutine gives up waiting for, and that is set all the same."""
    made: Future[str] = Future()
    made.set_running_or_notify_cancel()
    return made


# Few attempts submit anything: one lock for all spares each one of its own.
_counting = threading.Lock()


class _Counts:
    """How often an attempt has submitted the same content."""

    def __init__(self) -> None:
        self._counts: dict[bytes, int] = {}

    def next(self, content: bytes) -> int:
        with _counting:
            self._counts[content] = count = self._counts.get(content, 0) + 1
        return count


def _refuse_long_chain(parent: Task, length: int) -> None:
    if parent.generation + length > MAX_GENERATIONS:
        raise InvalidRequest(
            "CHAIN_TOO_LONG",
            f"The task stands {parent.generation} generations below one that a caller submitted,"
            f" and at most {MAX_GENERATIONS} are allowed; submit periodic work from outside.",
            metadata={"generation": str(parent.generation)},
        )


def _answer(answer: Future[str], written: Future[bytes]) -> None:
    try:
        task_id = written.result()
        if ARMED:
            hit("run.submitted")
    except Exception as error:  # Whatever it is, the handler must not wait for ever.
        answer.set_exception(_as_handlers_see_it(error))
    else:
        answer.set_result(to_text(task_id))


def _as_handlers_see_it(error: BaseException) -> errors.HandlerError:
    match error:
        case InvalidRequest():
            return errors.InvalidArgument(
                error.message, reason=error.reason, metadata=_details(error)
            )
        case NotFound():
            return errors.NotFound(error.message, reason=error.reason, metadata=_details(error))
        case StoreUnavailable():
            return errors.Unavailable(
                "The task could not be submitted: the database does not answer.",
                reason="STORE_UNAVAILABLE",
            )
        case KeyReused():
            return errors.AlreadyExists(
                "The key was used for another submission of this task; choose a new one.",
                reason="REQUEST_ID_REUSED",
            )
        case AttemptOver():
            return errors.Cancelled("This attempt is over, and submits nothing any more.")
    _LOG.error("a submission of a handler failed", exc_info=error)
    return errors.Internal("The task could not be submitted; operators find out why.")


def _details(error: RequestError) -> dict[str, str]:
    return {**error.metadata, **{found.field: found.description for found in error.violations}}
