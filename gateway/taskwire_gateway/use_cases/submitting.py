"""Submit: one task or a batch, once per request id, committed before the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from taskwire.v1 import task_service_pb2
from taskwire_contracts.complaints import merged, request_id_reused
from taskwire_contracts.limits import Limits
from taskwire_contracts.preparation import Preparation
from taskwire_core.errors import (
    Conflict,
    FieldViolation,
    InvalidRequest,
    RequestError,
    Unready,
)
from taskwire_core.task import NewTask
from taskwire_gateway.ports import RequestIdsReused, TaskReader, TaskWriter
from taskwire_gateway.use_cases.imagining import imagined
from taskwire_gateway.use_cases.recording import Accepted, Disposition, Recording
from taskwire_gateway.workers_alive import LiveWorkers

SubmitTaskRequest = task_service_pb2.SubmitTaskRequest

_MOST_LISTED = 1_000
"""After so many violations in a batch, each further item names its first one only."""


class Submitting:
    """The use case behind SubmitTask, BatchSubmitTasks and durable calls."""

    def __init__(
        self,
        *,
        preparation: Preparation,
        writer: TaskWriter,
        reader: TaskReader,
        recording: Recording,
        workers: LiveWorkers,
        limits: Limits,
    ) -> None:
        self._preparation = preparation
        self._writer = writer
        self._reader = reader
        self._recording = recording
        self._workers = workers
        self._limits = limits

    async def submit(
        self,
        request: SubmitTaskRequest,
        *,
        owner: str,
        task_id: bytes | None = None,
        input_path: str = "input",
    ) -> Accepted:
        """Record one task, or find the one that its request id has made before.

        `task_id` is the id of the task if it is a new one; None lets it be chosen here.
        `input_path` begins the paths of what is wrong with the input.

        Raises:
            RequestError: the request is refused; nothing was recorded.
            StoreUnavailable: nothing was recorded.
        """
        try:
            new = self._preparation.checked(request, owner=owner, input_path=input_path)
            await self._require_worker(request, new)
        except RequestError:
            # A request id is looked up before any check that depends on time or on the loaded
            # contracts. A request that passes those checks meets the same look-up in the
            # store's own transaction, so that only a failing one costs a read.
            existing = await self._existing(request, owner=owner)
            if existing is None:
                raise
            return existing
        if request.validate_only:
            return Accepted(imagined(new), Disposition.VALIDATED)
        if task_id is not None:
            new = replace(new, id=task_id)
        return (await self._record([new], [""]))[0]

    async def submit_all(
        self, requests: Sequence[SubmitTaskRequest], *, owner: str
    ) -> list[Accepted]:
        """Record all of `requests` in one transaction, or nothing.

        Raises:
            RequestError: with the violations of all items (`requests[7].input.url`).
            StoreUnavailable: nothing was recorded.
        """
        answers = await self._checked_all(requests, owner=owner)
        errors = [answer for answer in answers if isinstance(answer, RequestError)]
        if errors:
            raise merged(errors)
        await self._complete(requests, answers)
        return [answer for answer in answers if isinstance(answer, Accepted)]

    async def submit_some(
        self, requests: Sequence[SubmitTaskRequest], *, owner: str
    ) -> list[Accepted | RequestError]:
        """Record those of `requests` that can be recorded; the others have their errors.

        Raises:
            StoreUnavailable: nothing was recorded.
        """
        answers = await self._checked_all(requests, owner=owner)
        await self._complete(requests, answers, partial=True)
        return [
            answer if isinstance(answer, Accepted | RequestError) else _unanswered(answer)
            for answer in answers
        ]

    async def _checked_all(
        self, requests: Sequence[SubmitTaskRequest], *, owner: str
    ) -> list[Accepted | RequestError | NewTask]:
        self._refuse_large_batch(requests)
        answers: list[Accepted | RequestError | NewTask] = []
        listed = 0
        for index, request in enumerate(requests):
            prefix = f"requests[{index}]"
            try:
                new = self._preparation.checked(
                    request, owner=owner, prefix=prefix, brief=listed >= _MOST_LISTED
                )
                await self._require_worker(request, new)
                if request.validate_only:
                    answers.append(Accepted(imagined(new), Disposition.VALIDATED))
                else:
                    answers.append(new)
            except RequestError as error:
                listed += len(error.violations)
                try:
                    existing = await self._existing(request, owner=owner, prefix=prefix)
                except RequestError as reused:
                    answers.append(reused)
                else:
                    answers.append(existing if existing is not None else error)
        return answers

    def _refuse_large_batch(self, requests: Sequence[SubmitTaskRequest]) -> None:
        limits, items = self._limits, len(requests)
        # Of millions of items not even the sizes are added up.
        counted = requests[: limits.batch_items]
        size = sum(request.ByteSize() for request in counted)
        if 0 < items <= limits.batch_items and size <= limits.batch_bytes:
            return
        if not items:
            violation = FieldViolation("requests", "must contain at least 1 item")
            raise InvalidRequest(
                "FIELD_VIOLATION", "The batch is empty; send one.", violations=[violation]
            )
        of_bytes = f" of {size} bytes together" if items == len(counted) else ""
        text = (
            f"has {items} items{of_bytes};"
            f" at most {limits.batch_items} items and {limits.batch_bytes} bytes are allowed"
        )
        raise InvalidRequest(
            "BATCH_TOO_LARGE",
            f"The batch {text}; send smaller ones.",
            metadata={"items": str(items)} | ({"bytes": str(size)} if of_bytes else {}),
            violations=[FieldViolation("requests", text)],
        )

    async def _complete(
        self,
        requests: Sequence[SubmitTaskRequest],
        answers: list[Accepted | RequestError | NewTask],
        *,
        partial: bool = False,
    ) -> None:
        """Record every NewTask among `answers` and put its answer in its place."""
        places = [place for place, found in enumerate(answers) if isinstance(found, NewTask)]
        new = [found for found in answers if isinstance(found, NewTask)]
        prefixes = [f"requests[{place}]" for place in places]
        if not new:
            return
        while new:
            try:
                accepted = await self._record(new, prefixes)
            except _ReusedError as error:
                if not partial:
                    raise error.whole from None
                for position, refused in error.items.items():
                    answers[places[position]] = refused
                kept = [p for p in range(len(new)) if p not in error.items]
                new, places = [new[p] for p in kept], [places[p] for p in kept]
                prefixes = [prefixes[p] for p in kept]
            else:
                for place, answer in zip(places, accepted, strict=True):
                    answers[place] = answer
                return

    async def _record(self, new: Sequence[NewTask], prefixes: Sequence[str]) -> list[Accepted]:
        try:
            return await self._recording.record(new, self._writer.submit)
        except RequestIdsReused as reused:
            items = {
                p: request_id_reused(new[p].request_id or "", prefixes[p]) for p in reused.positions
            }
            raise _ReusedError(items) from None

    async def _require_worker(self, request: SubmitTaskRequest, new: NewTask) -> None:
        if not request.require_worker:
            return
        wanted = (new.options.queue, new.type)
        if self._workers.known().get(wanted) or (await self._workers.now()).get(wanted):
            return
        raise Unready(
            "NO_WORKER",
            f"No live worker runs {new.type} on the queue {new.options.queue}; start one, or"
            " leave require_worker out.",
            metadata={"type": new.type, "queue": new.options.queue},
        )

    async def _existing(
        self, request: SubmitTaskRequest, *, owner: str, prefix: str = ""
    ) -> Accepted | None:
        """The task that the request id made, None when it is unused or there is none.

        Raises:
            Conflict: it was used with other content.
        """
        if not request.request_id:
            return None
        found = await self._reader.by_request_id(owner, request.request_id)
        if found is None:
            return None
        task, known = found
        data = self._preparation.canonical_input(request)
        if self._preparation.hash_of(request, request.type or task.type, data) != known:
            raise request_id_reused(request.request_id, prefix)
        return Accepted(task, Disposition.EXISTING)


class _ReusedError(Conflict):
    """Request ids used before with other content; `items` are the errors by position."""

    def __init__(self, items: Mapping[int, RequestError]) -> None:
        first = merged(list(items.values()))
        super().__init__(
            first.reason, first.message, metadata=first.metadata, violations=first.violations
        )
        self.items = items
        self.whole = first


def _unanswered(new: NewTask) -> RequestError:
    raise AssertionError(f"the task {new.id.hex()} has no answer")
