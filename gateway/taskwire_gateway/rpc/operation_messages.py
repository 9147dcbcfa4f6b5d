"""A bulk operation as callers see it: a google.longrunning.Operation."""

from __future__ import annotations

from google.longrunning import operations_pb2
from google.rpc import status_pb2

from taskwire.v1 import bulk_task_service_pb2 as pb
from taskwire_contracts.statuses import error_info, status
from taskwire_contracts.task_message import set_time
from taskwire_core.bulk import BulkFailure, BulkKind, BulkOperation, BulkPreview
from taskwire_core.failure import Code
from taskwire_core.ids import to_text
from taskwire_gateway.use_cases.bulk import operation_name

_KINDS = {
    BulkKind.CANCEL: pb.BulkOperationMetadata.KIND_CANCEL,
    BulkKind.RETRY: pb.BulkOperationMetadata.KIND_RETRY,
    BulkKind.DELETE: pb.BulkOperationMetadata.KIND_DELETE,
}


def operation_message(found: BulkOperation) -> operations_pb2.Operation:
    """The operation with its progress, and with its outcome once it has ended."""
    message = operations_pb2.Operation(name=operation_name(found.id))
    message.metadata.Pack(_metadata(found))
    if found.end_time_us is not None:
        message.done = True
        if found.cancelled:
            message.error.CopyFrom(_cancelled(found))
        else:
            message.response.Pack(
                pb.BulkOperationResponse(
                    done_count=found.done,
                    skipped_count=found.skipped,
                    failed_count=found.failed,
                )
            )
    return message


def preview_message(found: BulkPreview) -> pb.BulkPreview:
    """What an operation would do."""
    sample = [to_text(task_id) for task_id in found.sample]
    return pb.BulkPreview(task_count=found.count, sample=sample)


def _metadata(found: BulkOperation) -> pb.BulkOperationMetadata:
    message = pb.BulkOperationMetadata(
        kind=_KINDS[found.scope.kind],
        filter=found.scope.filter,
        reason=found.reason,
        total_count=found.total,
        done_count=found.done,
        skipped_count=found.skipped,
        failed_count=found.failed,
        failures=[_failure(failure) for failure in found.failures],
        cancel_requested=found.cancelled,
    )
    set_time(message.create_time, found.create_time_us)
    set_time(message.update_time, found.update_time_us)
    if found.end_time_us is not None:
        set_time(message.end_time, found.end_time_us)
    return message


def _failure(failure: BulkFailure) -> pb.BulkFailure:
    info = error_info(failure.reason, {"id": to_text(failure.task_id)})
    reason = status(Code(failure.code), failure.message, [info])
    return pb.BulkFailure(id=to_text(failure.task_id), status=reason)


def _cancelled(found: BulkOperation) -> status_pb2.Status:
    info = error_info("OPERATION_CANCELLED", {"operation": operation_name(found.id)})
    of_total = f" of {found.total}" if found.total else ""
    text = f"The operation was cancelled after {found.done}{of_total} tasks."
    return status(Code.CANCELLED, text, [info])
