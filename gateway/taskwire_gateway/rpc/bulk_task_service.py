"""`taskwire.v1.BulkTaskService`: message in, use case, message out, one method each."""

from __future__ import annotations

from typing import Protocol, TypeVar

from google.longrunning import operations_pb2

from taskwire.v1 import bulk_task_service_pb2 as pb
from taskwire_contracts.validation import Rules
from taskwire_core.bulk import BulkKind
from taskwire_gateway.admission import Admission, Kind
from taskwire_gateway.rpc.calls import Call, Handler, unary
from taskwire_gateway.rpc.operation_messages import operation_message, preview_message
from taskwire_gateway.use_cases.bulk import Bulk

SERVICE = "taskwire.v1.BulkTaskService"

_Request = pb.BulkCancelTasksRequest | pb.BulkRetryTasksRequest | pb.BulkDeleteTasksRequest


class _Response(Protocol):
    def __init__(
        self,
        *,
        preview: pb.BulkPreview | None = None,
        operation: operations_pb2.Operation | None = None,
    ) -> None: ...


Response = TypeVar("Response", bound=_Response)


class BulkTaskService:
    """The methods; `handlers` is what the server serves."""

    def __init__(self, bulk: Bulk, rules: Rules) -> None:
        self._bulk = bulk
        self._rules = rules

    def handlers(self, admission: Admission) -> dict[str, Handler]:
        """The method handlers by path."""
        short = admission.gate(Kind.UNARY)
        methods = {
            "BulkCancelTasks": unary(pb.BulkCancelTasksRequest, short, self.bulk_cancel_tasks),
            "BulkRetryTasks": unary(pb.BulkRetryTasksRequest, short, self.bulk_retry_tasks),
            "BulkDeleteTasks": unary(pb.BulkDeleteTasksRequest, short, self.bulk_delete_tasks),
        }
        return {f"/{SERVICE}/{name}": handler for name, handler in methods.items()}

    async def bulk_cancel_tasks(
        self, request: pb.BulkCancelTasksRequest, call: Call
    ) -> pb.BulkCancelTasksResponse:
        """Cancel what has not ended."""
        return await self._answer(
            BulkKind.CANCEL, request, call, pb.BulkCancelTasksResponse, reason=request.reason
        )

    async def bulk_retry_tasks(
        self, request: pb.BulkRetryTasksRequest, call: Call
    ) -> pb.BulkRetryTasksResponse:
        """Repeat what has ended."""
        return await self._answer(BulkKind.RETRY, request, call, pb.BulkRetryTasksResponse)

    async def bulk_delete_tasks(
        self, request: pb.BulkDeleteTasksRequest, call: Call
    ) -> pb.BulkDeleteTasksResponse:
        """Delete what has ended."""
        return await self._answer(BulkKind.DELETE, request, call, pb.BulkDeleteTasksResponse)

    async def _answer(
        self,
        kind: BulkKind,
        request: _Request,
        call: Call,
        response: type[Response],
        *,
        reason: str = "",
    ) -> Response:
        self._rules.require(request)
        if not request.force:
            found = await self._bulk.preview(kind, request.filter, owner=call.owner)
            return response(preview=preview_message(found))
        begun = await self._bulk.begin(
            kind,
            request.filter,
            owner=call.owner,
            reason=reason,
            request_id=request.request_id,
        )
        return response(operation=operation_message(begun))
