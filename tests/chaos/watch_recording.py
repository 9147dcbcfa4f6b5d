"""Watches that write down what they are shown, as they hand it on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from taskwire.client import CallFailed, Client
from taskwire.v1 import task_pb2
from taskwire.v1 import task_service_pb2 as pb
from tests.chaos.answers import told
from tests.chaos.recorder import Recorder, now
from tests.chaos.records import Resumed, Seen, Watch, WatchEnd


def watch_one(
    recorder: Recorder, client: Client, id: str, after_version: int, heartbeat_s: float
) -> Iterator[pb.WatchTaskResponse]:
    """Follow one task."""
    with _WatchRecording(recorder, (id,), after_version=after_version) as watch:
        for event in client.watch(
            id,
            after_version=after_version,
            heartbeat_s=heartbeat_s,
            on_interruption=watch.interrupted,
        ):
            if event.HasField("task"):
                watch.seen(event.task)
            elif event.HasField("closed"):
                watch.closed(event.closed)
            yield event
        watch.over()


def watch_several(
    recorder: Recorder, client: Client, ids: Sequence[str], filter: str, heartbeat_s: float
) -> Iterator[pb.WatchTasksResponse]:
    """Follow the tasks with these ids, or those that match."""
    with _WatchRecording(recorder, tuple(ids), filter=filter) as watch:
        for event in client.watch_tasks(
            ids, filter=filter, heartbeat_s=heartbeat_s, on_interruption=watch.interrupted
        ):
            if event.HasField("task"):
                watch.seen(event.task)
            elif event.HasField("removed"):
                watch.removed(event.removed)
            elif event.HasField("closed"):
                watch.closed(event.closed)
            yield event
        watch.over()


class _WatchRecording:
    """The lines of one watch. One that is left before its end has ended as LEFT."""

    def __init__(
        self,
        recorder: Recorder,
        task_ids: tuple[str, ...],
        *,
        filter: str = "",
        after_version: int = 0,
    ) -> None:
        self._recorder = recorder
        self._number = recorder.number()
        self._reason = ""
        self._ended = False
        recorder.write(Watch(now(), self._number, task_ids, filter, after_version))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, CallFailed):
            self._end(error.code.name, error.reason, error.message)
        elif not self._ended:
            self._end("LEFT")

    def seen(self, task: task_pb2.Task) -> None:
        shown = told(task)
        self._recorder.write(
            Seen(now(), self._number, shown.task_id, shown.version, shown.state, shown.result)
        )

    def removed(self, removed: pb.WatchTasksResponse.Removed) -> None:
        self._recorder.write(
            Seen(now(), self._number, removed.id, removed=True, deleted=removed.deleted)
        )

    def interrupted(self, why: str) -> None:
        self._recorder.write(Resumed(now(), self._number, why))

    def closed(self, closed: pb.Closed) -> None:
        self._reason = pb.Closed.Reason.Name(closed.reason).removeprefix("REASON_")

    def over(self) -> None:
        self._end("OK", self._reason)

    def _end(self, status: str, reason: str = "", message: str = "") -> None:
        self._ended = True
        self._recorder.write(WatchEnd(now(), self._number, status, reason, message))
