"""What the parts of a service write into, whoever shows it: its metrics and its exceptions."""

from __future__ import annotations

from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from taskwire_admin.exception_book import ExceptionBook


@dataclass(frozen=True, slots=True)
class Instruments:
    """A registry of their own, since several services may live in one process."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    exceptions: ExceptionBook = field(default_factory=ExceptionBook)
