"""The same for every task that a filter matches: `Client.bulk`."""

from __future__ import annotations

import uuid

import grpc
from google.longrunning import operations_pb2

from taskwire.client.short_call import short_call
from taskwire.v1 import bulk_task_service_pb2 as pb
from taskwire.v1 import bulk_task_service_pb2_grpc

Begun = pb.BulkPreview | operations_pb2.Operation
"""What would be done, or with `force` the operation that does it: see `Client.operations`."""


class Bulk:
    """Every method raises `CallFailed` and `Unreachable`; without `force` nothing is changed."""

    def __init__(self, channel: grpc.Channel, timeout_s: float) -> None:
        self._stub = bulk_task_service_pb2_grpc.BulkTaskServiceStub(channel)
        self._timeout_s = timeout_s

    def cancel(
        self, filter: str, *, reason: str = "", force: bool = False, request_id: str | None = None
    ) -> Begun:
        """Cancel what has not ended."""
        request = pb.BulkCancelTasksRequest(
            filter=filter, reason=reason, force=force, request_id=_id(request_id)
        )
        return _begun(short_call(self._stub.BulkCancelTasks, request, self._timeout_s))

    def retry(self, filter: str, *, force: bool = False, request_id: str | None = None) -> Begun:
        """Submit anew what has ended."""
        request = pb.BulkRetryTasksRequest(filter=filter, force=force, request_id=_id(request_id))
        return _begun(short_call(self._stub.BulkRetryTasks, request, self._timeout_s))

    def delete(self, filter: str, *, force: bool = False, request_id: str | None = None) -> Begun:
        """Delete what has ended."""
        request = pb.BulkDeleteTasksRequest(filter=filter, force=force, request_id=_id(request_id))
        return _begun(short_call(self._stub.BulkDeleteTasks, request, self._timeout_s))


def _id(request_id: str | None) -> str:
    # gRPC may repeat a call whose answer was lost: that must not begin a second operation.
    return request_id or str(uuid.uuid4())


def _begun(
    answer: pb.BulkCancelTasksResponse | pb.BulkRetryTasksResponse | pb.BulkDeleteTasksResponse,
) -> Begun:
    return answer.operation if answer.HasField("operation") else answer.preview
