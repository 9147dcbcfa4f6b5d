"""Errors of calls as gRPC statuses: the one file that holds details and fixed sentences.

Every error of ours carries one `google.rpc.ErrorInfo`; violations, retry advice and the
missing resource's name follow where they fit.
"""

from __future__ import annotations

from datetime import timedelta

from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from taskwire_contracts.statuses import MAX_DETAILS_BYTES, error_info, status
from taskwire_core.errors import NotFound, RequestError, StoreUnavailable, Unavailable
from taskwire_core.failure import Code

DETAILS_KEY = "grpc-status-details-bin"


def status_of(error: RequestError) -> status_pb2.Status:
    """The status that answers `error`."""
    bad_request = _bad_request(error)
    metadata = dict(error.metadata)
    omitted = len(error.violations) - len(bad_request.field_violations)
    if omitted:
        metadata["omittedViolations"] = str(omitted)
    details: list[Message] = [error_info(error.reason, metadata)]
    if error.violations:
        details.append(bad_request)
    if error.retry_after is not None:
        details.append(_retry_info(error.retry_after))
    if isinstance(error, NotFound):
        details.append(_resource_info(error))
    return status(error.code, error.message, details)


def internal(call_id: str) -> RequestError:
    """What a caller learns of an error that nobody foresaw: where the operator can look it up."""
    return RequestError(
        "INTERNAL",
        f"Something went wrong on our side; ask the operator about the call {call_id}.",
        metadata={"requestId": call_id},
    )


def store_unavailable(_: StoreUnavailable) -> RequestError:
    """The database is away: nothing was written, and trying again is right."""
    return Unavailable(
        "STORE_UNAVAILABLE",
        "The database does not answer at the moment; try again.",
        retry_after=timedelta(seconds=1),
    )


def malformed(type_name: str) -> RequestError:
    """The bytes on the wire are no message of the method's request type."""
    return RequestError(
        "MALFORMED_REQUEST",
        f"The request is not a {type_name} in protobuf's wire form; generate your stub again.",
        code=Code.INVALID_ARGUMENT,
        metadata={"type": type_name},
    )


def _bad_request(error: RequestError) -> error_details_pb2.BadRequest:
    found = error_details_pb2.BadRequest()
    size = 0
    for violation in error.violations:
        texts = (violation.field, violation.description, violation.rule)
        size += sum(len(text.encode()) for text in texts)
        if size > MAX_DETAILS_BYTES:
            break
        found.field_violations.add(
            field=violation.field, description=violation.description, reason=violation.rule
        )
    return found


def _retry_info(delay: timedelta) -> error_details_pb2.RetryInfo:
    info = error_details_pb2.RetryInfo()
    info.retry_delay.FromTimedelta(delay)
    return info


def _resource_info(error: NotFound) -> error_details_pb2.ResourceInfo:
    # The metadata of a NotFound names the thing by the word that its reason begins with.
    kind = error.reason.removesuffix("_NOT_FOUND").lower()
    name = error.metadata.get("id") or error.metadata.get("type") or error.metadata.get(kind, "")
    return error_details_pb2.ResourceInfo(
        resource_type=f"taskwire.dev/{kind}", resource_name=name, description=error.message
    )
