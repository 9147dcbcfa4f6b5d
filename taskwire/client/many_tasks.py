"""What a client does with many tasks at a time: submit them, and follow them, over one stream."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta

from taskwire.client.connection import Connection
from taskwire.client.one_stream import SILENT_INTERVALS, Stream
from taskwire.client.submit_stream import Acknowledgement, Item, SubmitStream
from taskwire.client.watching_many import ManyWatch
from taskwire.v1 import task_pb2, task_service_pb2


class ManyTasks(Connection):
    """Part of `taskwire.client.Client`."""

    def submit_many(
        self, requests: Iterable[task_service_pb2.SubmitTaskRequest]
    ) -> Iterator[Acknowledgement]:
        """Submit each of `requests` and yield its acknowledgement as soon as it is committed.

        An acknowledgement holds the answer or the error of one request; its client_ref is the
        request's position, and they come in any order. `requests` are taken only as fast as the
        server takes them, in another thread. What a broken connection leaves open is sent
        again: requests without a request id get one.
        """
        items = (_item(position, request) for position, request in enumerate(requests))
        return SubmitStream(
            lambda outgoing: self._tasks.StreamSubmitTasks(outgoing, wait_for_ready=True), items
        ).acknowledgements()

    def watch_tasks(
        self,
        ids: Sequence[str] = (),
        *,
        filter: str = "",
        resume_token: str = "",
        heartbeat_s: float = 15.0,
        view: task_pb2.TaskView.ValueType = task_pb2.TASK_VIEW_OUTCOME,
        on_interruption: Callable[[str], None] | None = None,
    ) -> Iterator[task_service_pb2.WatchTasksResponse]:
        """What happens to the tasks with these ids, or to all that match `filter`, or to all.

        First the tasks themselves, then `synced`, then changes, progress, `removed` and
        heartbeats. With ids it ends when all of them have ended, otherwise never. Interruptions
        are waited out, for as long as it takes, and told to `on_interruption`; each message has
        the `resume_token` to go on with in another process. After more than an hour the server
        may have forgotten what changed: then the tasks and `synced` come once more, and what was
        removed meanwhile is not among them. Closing the iterator ends the call.
        """

        def open_stream(token: str) -> Stream[task_service_pb2.WatchTasksResponse]:
            request = task_service_pb2.WatchTasksRequest(
                ids=ids, filter=filter, view=view, resume_token=token
            )
            request.heartbeat_interval.FromTimedelta(timedelta(seconds=heartbeat_s))
            # The service config would wait for a server in silence, and tell nobody.
            return self._tasks.WatchTasks(request, wait_for_ready=False)

        return ManyWatch(
            open_stream,
            resume_token=resume_token,
            silence_s=heartbeat_s * SILENT_INTERVALS,
            on_interruption=on_interruption,
        ).events()


def _item(position: int, request: task_service_pb2.SubmitTaskRequest) -> Item:
    item = Item(client_ref=str(position), request=request)
    if not item.request.request_id:
        item.request.request_id = str(uuid.uuid4())
    return item
