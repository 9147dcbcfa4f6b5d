"""Every metric that there is, as the rows that docs/operating.md must have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from prometheus_client import CollectorRegistry

from taskwire_admin.exception_book import ExceptionBook
from taskwire_admin.exception_metrics import ExceptionMetrics
from taskwire_admin.exposition import families
from taskwire_admin.store_metrics import StoreMetrics
from taskwire_admin.writer_metrics import WriterMetrics
from taskwire_db.figures import Figures
from taskwire_gateway.admission import Admission
from taskwire_gateway.dispatch.dispatcher import Dispatcher
from taskwire_gateway.metrics import CallMetrics, DispatchMetrics, GatewayState, SweepMetrics
from taskwire_worker.crew import Crew
from taskwire_worker.crew_metrics import CrewState
from taskwire_worker.metrics import AttemptMetrics
from taskwire_worker.supervisor_metrics import SupervisorState

# What none of the collectors asks more of than a number.
_NOTHING: Any = SimpleNamespace()


def metric_rows() -> list[list[str]]:
    """Name, type, the services that have it, and what it is, in the order of the names."""
    services: dict[tuple[str, str, str], list[str]] = {}
    for service, registry in _registries():
        for family in families(registry):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            services.setdefault((name, family.type, family.documentation), []).append(service)
    return [
        [f"`{name}`", kind, _named(some), text]
        for (name, kind, text), some in sorted(services.items())
    ]


def _named(services: list[str]) -> str:
    return "all" if len(services) == 2 else services[0]


def _registries() -> Iterator[tuple[str, CollectorRegistry]]:
    yield "gateway", _gateway()
    yield "worker", _worker()


def _common() -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(ExceptionMetrics(ExceptionBook(), "gateway", "0"))
    WriterMetrics(registry).watch(lambda: 0)
    return registry


def _gateway() -> CollectorRegistry:
    registry = _common()
    for metrics in (CallMetrics, DispatchMetrics, SweepMetrics):
        metrics(registry)
    registry.register(
        GatewayState(
            admission=Admission(_NOTHING),
            dispatcher=Dispatcher(_NOTHING, _NOTHING, _NOTHING),
            connected=dict,
            leads=lambda: True,
        )
    )
    figures = Figures(tasks={}, oldest_s={}, workers=0, slots=0, bytes=0, overdue_s=0.0)
    registry.register(StoreMetrics(lambda: figures))
    return registry


def _worker() -> CollectorRegistry:
    registry = _common()
    AttemptMetrics(registry)
    crew = SimpleNamespace(
        threads=0,
        unclaimed=0,
        isolated_children=0,
        held=SimpleNamespace(running=list, waiting=0),
        settler=SimpleNamespace(unwritten=0, fenced_out=0),
        intake=SimpleNamespace(is_open=True),
    )
    registry.register(CrewState(cast(Crew, crew)))
    registry.register(SupervisorState([], last_beat=lambda: 0.0, spool=Path("nowhere")))
    return registry
