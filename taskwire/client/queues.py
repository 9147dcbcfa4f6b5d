"""The queues of a gateway: `Client.queues`."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
from google.longrunning.operations_pb2 import Operation

from taskwire.client.short_call import short_call
from taskwire.v1 import queue_service_pb2 as pb
from taskwire.v1 import queue_service_pb2_grpc


class Queues:
    """What can be done with queues; every method raises `CallFailed` and `Unreachable`."""

    def __init__(self, channel: grpc.Channel, timeout_s: float) -> None:
        self._stub = queue_service_pb2_grpc.QueueServiceStub(channel)
        self._timeout_s = timeout_s

    def all(self) -> Iterator[pb.Queue]:
        """Every queue, by name."""
        request = pb.ListQueuesRequest(page_size=1000)
        while True:
            page = short_call(self._stub.ListQueues, request, self._timeout_s)
            yield from page.queues
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def get(self, name: str) -> pb.Queue:
        """The queue as it is now."""
        request = pb.GetQueueRequest(name=name)
        return short_call(self._stub.GetQueue, request, self._timeout_s).queue

    def pause(self, name: str, reason: str = "") -> pb.PauseQueueResponse:
        """Let nothing of the queue begin; `effective` is false when it was paused before."""
        request = pb.PauseQueueRequest(name=name, reason=reason)
        return short_call(self._stub.PauseQueue, request, self._timeout_s)

    def resume(self, name: str) -> pb.ResumeQueueResponse:
        """Let the queue go on; `effective` is false when it was not paused."""
        request = pb.ResumeQueueRequest(name=name)
        return short_call(self._stub.ResumeQueue, request, self._timeout_s)

    def purge(self, name: str, reason: str = "", *, force: bool = False) -> Operation:
        """Cancel the caller's tasks that wait in the queue: see `Client.operations`.

        Without `force` it raises `CallFailed` with FORCE_REQUIRED, and nothing is changed.
        """
        request = pb.PurgeQueueRequest(name=name, reason=reason, force=force)
        return short_call(self._stub.PurgeQueue, request, self._timeout_s).operation
