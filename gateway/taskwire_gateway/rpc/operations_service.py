"""`google.longrunning.Operations` over the caller's bulk operations."""

from __future__ import annotations

from google.longrunning import operations_pb2 as pb
from google.protobuf.empty_pb2 import Empty

from taskwire_contracts.conversion import to_timedelta
from taskwire_core.errors import FieldViolation, InvalidRequest
from taskwire_core.ids import from_text
from taskwire_core.page_tokens import PageTokens
from taskwire_gateway.admission import Admission, Kind
from taskwire_gateway.rpc.calls import Call, Handler, unary
from taskwire_gateway.rpc.operation_messages import operation_message
from taskwire_gateway.use_cases.bulk import Bulk, operation_not_found
from taskwire_gateway.watch.watching import DEADLINE_MARGIN_S, LONGEST_WAIT

SERVICE = "google.longrunning.Operations"
_COLLECTION = "operations"
_PAGE = 50
_LONGEST_PAGE = 1_000
_SCOPE = "ListOperations"
_NEWEST = b"\xff" * 16


class OperationsService:
    """The methods; `handlers` is what the server serves."""

    def __init__(self, bulk: Bulk, page_tokens: PageTokens) -> None:
        self._bulk = bulk
        self._page_tokens = page_tokens

    def handlers(self, admission: Admission) -> dict[str, Handler]:
        """The method handlers by path."""
        short, long = admission.gate(Kind.UNARY), admission.gate(Kind.WATCH)
        methods = {
            "GetOperation": unary(pb.GetOperationRequest, short, self.get_operation),
            "ListOperations": unary(pb.ListOperationsRequest, short, self.list_operations),
            "CancelOperation": unary(pb.CancelOperationRequest, short, self.cancel_operation),
            "DeleteOperation": unary(pb.DeleteOperationRequest, short, self.delete_operation),
            "WaitOperation": unary(pb.WaitOperationRequest, long, self.wait_operation),
        }
        return {f"/{SERVICE}/{name}": handler for name, handler in methods.items()}

    async def get_operation(self, request: pb.GetOperationRequest, call: Call) -> pb.Operation:
        """Read one operation."""
        found = await self._bulk.get(_id_of(request.name), owner=call.owner)
        return operation_message(found)

    async def list_operations(
        self, request: pb.ListOperationsRequest, call: Call
    ) -> pb.ListOperationsResponse:
        """The newest first; the place of a page token is the last id of the page before."""
        _require_listable(request)
        before = _NEWEST
        if request.page_token:
            before = self._page_tokens.read(
                request.page_token, bytes, user=call.owner, scope=_SCOPE
            )
        found, more = await self._bulk.page(
            owner=call.owner, before=before, size=request.page_size or _PAGE
        )
        response = pb.ListOperationsResponse(operations=[operation_message(op) for op in found])
        if more:
            response.next_page_token = self._page_tokens.sign(
                found[-1].id, user=call.owner, scope=_SCOPE
            )
        return response

    async def cancel_operation(self, request: pb.CancelOperationRequest, call: Call) -> Empty:
        """Do no more of it; an ended one stays as it is, which is no error."""
        await self._bulk.cancel(_id_of(request.name), owner=call.owner)
        return Empty()

    async def delete_operation(self, request: pb.DeleteOperationRequest, call: Call) -> Empty:
        """Delete the record of an ended one."""
        await self._bulk.delete(_id_of(request.name), owner=call.owner)
        return Empty()

    async def wait_operation(self, request: pb.WaitOperationRequest, call: Call) -> pb.Operation:
        """Wait for the end, or for the time-out, which is no error."""
        timeout = to_timedelta(request.timeout) if request.HasField("timeout") else LONGEST_WAIT
        timeout_s = min(timeout, LONGEST_WAIT).total_seconds()
        left_s = call.time_left_s()
        if left_s is not None:
            # A wait that would outlast the caller's deadline could not be answered at all.
            timeout_s = min(timeout_s, left_s - min(DEADLINE_MARGIN_S, left_s / 2))
        found = await self._bulk.wait(
            _id_of(request.name), owner=call.owner, timeout_s=max(0.0, timeout_s)
        )
        return operation_message(found)


def _id_of(name: str) -> bytes:
    """The id in an operation's name; one that cannot be any operation's is not found either."""
    collection, _, text = name.partition("/")
    try:
        if collection == _COLLECTION:
            return from_text(text)
    except ValueError:
        pass
    raise operation_not_found(name)


def _require_listable(request: pb.ListOperationsRequest) -> None:
    violations = []
    if request.name not in ("", _COLLECTION):
        violations.append(FieldViolation("name", 'must be "operations", or empty'))
    if request.filter:
        violations.append(FieldViolation("filter", "must be empty: operations have no filter"))
    if not 0 <= request.page_size <= _LONGEST_PAGE:
        violations.append(
            FieldViolation("page_size", f"must be at least 0 and at most {_LONGEST_PAGE}")
        )
    if violations:
        first = violations[0]
        raise InvalidRequest(
            "FIELD_VIOLATION",
            "The request is not valid; correct the fields that the details name."
            f" {first.field}: {first.description}.",
            violations=violations,
        )
