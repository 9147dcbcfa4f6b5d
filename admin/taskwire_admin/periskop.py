"""Periskop's format, made of `periskop-client`'s models.

A stack begins where the exception was raised, as in Periskop's other clients: its key is made
of the first five lines, and those must tell one exception from another.
"""

from __future__ import annotations

from collections.abc import Iterable

from periskop_client.models import (
    AggregatedException,
    ExceptionInstance,
    ExceptionWithContext,
    HTTPContext,
    Payload,
)

from taskwire_admin.occurrence import Bundle, Occurrence
from taskwire_core.caught import Caught


def aggregation_key(occurrence: Occurrence) -> str:
    """The exception's class and a hash of where it was raised."""
    key: str = ExceptionWithContext(error=_instance(occurrence.caught)).aggregation_key()
    return key


def payload(target_uuid: str, bundles: Iterable[Bundle]) -> str:
    """What Periskop scrapes, in JSON."""
    found = Payload(
        aggregated_errors=[_aggregated(bundle) for bundle in bundles], target_uuid=target_uuid
    )
    text: str = found.to_json()
    return text


def _aggregated(bundle: Bundle) -> AggregatedException:
    found = AggregatedException(
        aggregation_key=bundle.key,
        latest_errors=[_with_context(occurrence) for occurrence in bundle.newest],
        total_count=bundle.count,
        severity=bundle.severity,
    )
    # The model says "now" by itself, and so does the next one.
    found.created_at = bundle.created_at
    return found


def _with_context(occurrence: Occurrence) -> ExceptionWithContext:
    found = ExceptionWithContext(
        error=_instance(occurrence.caught),
        http_context=HTTPContext(
            request_method=occurrence.kind,
            request_url=occurrence.place,
            request_headers=dict(occurrence.fields),
            # Never what was sent: it is the caller's.
            request_body=None,
        ),
        severity=occurrence.severity,
    )
    found.uuid, found.timestamp = occurrence.uuid, occurrence.at
    return found


def _instance(caught: Caught) -> ExceptionInstance:
    return ExceptionInstance(
        cls=caught.type,
        message=caught.message,
        stacktrace=[
            f'File "{frame.file}", line {frame.line}, in {frame.function}: {frame.code}'
            for frame in reversed(caught.frames)
        ],
        cause=None if caught.cause is None else _instance(caught.cause),
    )
