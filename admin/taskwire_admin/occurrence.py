"""One exception that somebody should look at, and the sums that processes hand on of them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from taskwire_core.caught import Caught
from taskwire_core.scope import current_scope

ERROR = "error"
WARNING = "warning"
"""Of what is tried again by itself."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """`kind` and `place` say where it happened: ("task", its type), ("grpc", the method) or
    ("log", the logger); `fields` are ids and names, which may be shown."""

    caught: Caught
    kind: str
    place: str
    severity: str = ERROR
    fields: Mapping[str, str] = field(default_factory=lambda: dict(current_scope().fields))
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    at: str = field(default_factory=lambda: rfc3339(datetime.now(UTC)))


@dataclass(frozen=True, slots=True)
class Bundle:
    """Occurrences of one key: how many, and the newest of them, oldest first."""

    key: str
    count: int
    severity: str
    created_at: str
    newest: tuple[Occurrence, ...]


def rfc3339(at: datetime) -> str:
    """`at`, which is in UTC, as Periskop reads times."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
