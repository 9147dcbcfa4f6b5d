"""What a client does with many tasks at a time: submit them over one stream."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator

from taskwire.client.connection import Connection
from taskwire.client.submit_stream import Acknowledgement, Item, SubmitStream
from taskwire.v1 import task_service_pb2


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


def _item(position: int, request: task_service_pb2.SubmitTaskRequest) -> Item:
    item = Item(client_ref=str(position), request=request)
    if not item.request.request_id:
        item.request.request_id = str(uuid.uuid4())
    return item
