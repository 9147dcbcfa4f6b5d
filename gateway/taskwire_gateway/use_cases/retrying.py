"""Retry: an ended task stays as it is, and a new one begins with what it had."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

from google.protobuf.any_pb2 import Any
from msgspec.structs import replace

from taskwire.v1 import task_service_pb2 as pb
from taskwire_contracts.complaints import request_id_reused
from taskwire_contracts.preparation import Preparation
from taskwire_core.errors import InvalidRequest, NotFound, RequestError
from taskwire_core.lifecycle import State
from taskwire_core.task import NewTask, Payload, Task, View
from taskwire_gateway.ports import Planned, Recorded, RequestIdsReused, TaskReader
from taskwire_gateway.use_cases.reading import (
    GroupReader,
    task_id_of,
    task_not_ended,
    task_not_found,
)
from taskwire_gateway.use_cases.recording import Accepted, Recording


class NotRetriable(Exception):
    """Nothing was recorded: the old task has not ended, or (state None) is gone."""

    def __init__(self, state: State | None) -> None:
        super().__init__(state)
        self.state = state


class TaskRetrier(Protocol):
    """The store, as far as a retry needs it."""

    async def retry(self, retries: Sequence[Planned]) -> list[Recorded]:
        """Record one task that names the one that it repeats, if that has ended.

        Raises RequestIdsReused, NotRetriable and StoreUnavailable.
        """


class Retrying:
    """The use case behind RetryTask; many calls at the same time share their transactions."""

    def __init__(
        self,
        *,
        preparation: Preparation,
        tasks: GroupReader,
        reader: TaskReader,
        store: TaskRetrier,
        recording: Recording,
    ) -> None:
        self._preparation = preparation
        self._tasks = tasks
        self._reader = reader
        self._store = store
        self._recording = recording

    async def retry(self, request: pb.RetryTaskRequest, *, owner: str) -> Task:
        """The new task, or the one that the request id has made before.

        It has the type, the options and the labels of the old one, and its input if the request
        has none; what is checked is checked by today's contract.

        Raises:
            RequestError: the request is refused; nothing was recorded.
            StoreUnavailable: nothing was recorded.
        """
        try:
            new = await self._anew(request, owner=owner)
        except RequestError:
            # As for a submission: what a request id has made is found although the old task,
            # or the contract of its type, is gone by now.
            existing = await self._existing(request, owner=owner)
            if existing is None:
                raise
            return await self._tasks.with_outcome(existing)
        return await self._tasks.with_outcome((await self._record(new)).task)

    async def _anew(self, request: pb.RetryTaskRequest, *, owner: str) -> NewTask:
        old = await self._tasks.task(task_id_of(request.id), View.FULL, owner=owner)
        if not old.state.terminal:
            raise task_not_ended(old.id, old.state, wish="retry")
        new = repeated(self._preparation, old, request)
        return replace(new, request_hash=self._hash_of(request))

    async def _record(self, new: NewTask) -> Accepted:
        try:
            return (await self._recording.record([new], self._store.retry))[0]
        except RequestIdsReused:
            raise request_id_reused(new.request_id or "") from None
        except NotRetriable as refused:
            source = new.retry_of or b""
            if refused.state is None:
                raise task_not_found(source) from None
            raise task_not_ended(source, refused.state, wish="retry") from None

    async def _existing(self, request: pb.RetryTaskRequest, *, owner: str) -> Task | None:
        if not request.request_id:
            return None
        found = await self._reader.by_request_id(owner, request.request_id)
        if found is None:
            return None
        task, known = found
        if self._hash_of(request) != known:
            raise request_id_reused(request.request_id)
        return task

    def _hash_of(self, request: pb.RetryTaskRequest) -> bytes:
        """32 bytes over the old task and the input as sent; the same for two encodings of it."""
        if not request.request_id:
            return b""
        digest = hashlib.sha256(b"retry" + task_id_of(request.id))
        if request.HasField("input"):
            digest.update(request.input.type_url.rpartition("/")[2].encode() + b"\0")
            digest.update(self._preparation.canonical_input(request))
        return digest.digest()


def repeated(
    preparation: Preparation, old: Task, request: pb.RetryTaskRequest | None = None
) -> NewTask:
    """The task that repeats `old`, which was read with its input, as `request` wants it.

    Raises:
        RequestError: today's contract refuses it.
    """
    wish = request or pb.RetryTaskRequest()
    submission = pb.SubmitTaskRequest(
        type=old.type,
        input=wish.input if wish.HasField("input") else _packed(old.input),
        labels=old.labels,
        request_id=wish.request_id,
    )
    try:
        new = preparation.checked(submission, owner=old.owner)
    except NotFound:
        raise _type_gone(old.type) from None
    except InvalidRequest as error:
        if wish.HasField("input"):
            raise
        raise _no_longer_valid(error) from None
    return replace(new, options=old.options, retry_of=old.id)


def _packed(payload: Payload | None) -> Any:
    # Of a task that was read whole; None would be answered as an input that is missing.
    assert payload is not None, "a recorded task has an input"
    return Any(type_url=f"type.googleapis.com/{payload.type_name}", value=payload.data)


def _type_gone(name: str) -> NotFound:
    return NotFound(
        "TASK_TYPE_NOT_FOUND",
        f"The task's type {name} is not loaded any more; load its contract, then retry the task.",
        metadata={"type": name},
    )


def _no_longer_valid(error: InvalidRequest) -> InvalidRequest:
    first = error.violations[0]
    return InvalidRequest(
        error.reason,
        "The old task's input does not fit its type any more; retry it with another input."
        f" {first.field}: {first.description}.",
        metadata=error.metadata,
        violations=error.violations,
    )
