"""What a gateway counts, and what is read of it when it is scraped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from taskwire_admin.writer_metrics import SECONDS
from taskwire_core.task import Dispatch, Task
from taskwire_gateway.admission import Admission, Kind
from taskwire_gateway.dispatch.dispatcher import Dispatcher
from taskwire_gateway.ports import Broker

Answered = Callable[[list[Dispatch]], None]

_MAX_QUEUES = 100
"""Names of queues come from callers: more than so many would cost the monitoring too much."""


class CallMetrics:
    """Calls by method. Durable calls and watches last as long as their tasks."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Counter(
            "taskwire_gateway_calls",
            "Calls that have ended, by method and gRPC code.",
            ("method", "code"),
            registry=registry,
        )
        self._seconds = Histogram(
            "taskwire_gateway_call_seconds",
            "How long calls take, durable calls and watches included.",
            ("method",),
            buckets=(*SECONDS, 30, 60, 300),
            registry=registry,
        )
        # A look-up of labels costs more than the counting itself.
        self._by_code: dict[tuple[str, str], Counter] = {}
        self._by_method: dict[str, Histogram] = {}

    def ended(self, method: str, code: str, seconds: float) -> None:
        """A call has ended."""
        counter = self._by_code.get((method, code))
        if counter is None:
            counter = self._by_code[method, code] = self._calls.labels(method, code)
        counter.inc()
        histogram = self._by_method.get(method)
        if histogram is None:
            histogram = self._by_method[method] = self._seconds.labels(method)
        histogram.observe(seconds)


class DispatchMetrics:
    """What passes between the dispatcher and the broker, and what was accepted before."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._accepted = Counter(
            "taskwire_gateway_tasks_accepted",
            "New tasks that this gateway has recorded, by type.",
            ("type",),
            registry=registry,
        )
        self._published, self._confirmed, self._refused = (
            Counter(f"taskwire_dispatch_{what}", text, registry=registry)
            for what, text in (
                ("published", "Messages handed to the broker."),
                ("confirmed", "Messages that the broker has confirmed."),
                ("refused", "Messages that the broker did not take; they are sent again."),
            )
        )

    def accepted(self, tasks: Sequence[Task]) -> None:
        """New tasks were recorded."""
        for task in tasks:
            self._accepted.labels(task.type).inc()

    def publishing(self, broker: Broker) -> Broker:
        """`broker`, with what is handed to it counted."""
        return _CountedBroker(broker, self._published)

    def confirmed(self, then: Answered) -> Answered:
        """`then`, counted."""
        return _counted(self._confirmed, then)

    def refused(self, then: Answered) -> Answered:
        """`then`, counted."""
        return _counted(self._refused, then)


def _counted(counter: Counter, then: Answered) -> Answered:
    def answered(dispatches: list[Dispatch]) -> None:
        counter.inc(len(dispatches))
        then(dispatches)

    return answered


class _CountedBroker:
    def __init__(self, broker: Broker, published: Counter) -> None:
        self._broker = broker
        self._published = published

    @property
    def connected(self) -> bool:
        return self._broker.connected

    def publish(self, dispatches: Sequence[Dispatch]) -> None:
        self._published.inc(len(dispatches))
        self._broker.publish(dispatches)


class SweepMetrics:
    """The keeper's sweeps, by name."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "taskwire_keeper_sweep_seconds",
            "How long sweeps take.",
            ("sweep",),
            buckets=SECONDS,
            registry=registry,
        )
        self._moved = Counter(
            "taskwire_keeper_swept",
            "What sweeps have moved: mostly tasks.",
            ("sweep",),
            registry=registry,
        )
        self._failures = Counter(
            "taskwire_keeper_sweep_failures",
            "Sweeps that failed; they are tried again.",
            ("sweep",),
            registry=registry,
        )

    def swept(self, sweep: str, moved: int | None, seconds: float) -> None:
        """A sweep has ended; `moved` is None when it failed."""
        self._seconds.labels(sweep).observe(seconds)
        if moved is None:
            self._failures.labels(sweep).inc()
        else:
            self._moved.labels(sweep).inc(moved)


class GatewayState(Collector):
    """Reads a gateway's parts when it is scraped, in a thread of the admin port: numbers that
    are a moment old, and no locks."""

    def __init__(
        self,
        *,
        admission: Admission,
        dispatcher: Dispatcher,
        connected: Callable[[], Mapping[str, bool]],
        leads: Callable[[], bool],
    ) -> None:
        self._admission = admission
        self._dispatcher = dispatcher
        self._connected = connected
        self._leads = leads

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        yield _gauge(
            "taskwire_gateway_calls_open",
            "Calls in progress, by kind.",
            "kind",
            {kind: self._admission.open(kind) for kind in Kind},
        )
        yield _gauge(
            "taskwire_gateway_calls_limit",
            "How many calls of a kind are served at once.",
            "kind",
            {kind: self._admission.limit(kind) for kind in Kind},
        )
        refusals = CounterMetricFamily(
            "taskwire_gateway_refusals",
            "Calls that were not admitted, by reason.",
            labels=("reason",),
        )
        for reason, count in dict(self._admission.refusals).items():
            refusals.add_metric((reason,), count)
        yield refusals
        yield _gauge(
            "taskwire_gateway_connected",
            "1 where the broker, and the feed, are there.",
            "to",
            self._connected(),
        )
        yield GaugeMetricFamily(
            "taskwire_keeper_leads",
            "1 at the keeper that leads.",
            value=float(self._leads()),
        )
        yield GaugeMetricFamily(
            "taskwire_dispatch_unconfirmed",
            "Messages that the broker has not answered.",
            value=self._dispatcher.unconfirmed,
        )
        yield from self._windows()

    def _windows(self) -> Iterator[Metric]:
        windows = dict(list(self._dispatcher.windows().items())[:_MAX_QUEUES])
        yield _gauge(
            "taskwire_dispatch_window",
            "How many tasks of a queue may be with the broker.",
            "queue",
            {queue: size for queue, (size, _) in windows.items()},
        )
        yield _gauge(
            "taskwire_dispatch_outstanding",
            "How many tasks of a queue are with the broker and not claimed, as last counted.",
            "queue",
            {queue: outstanding for queue, (_, outstanding) in windows.items()},
        )


def _gauge(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    found = GaugeMetricFamily(name, text, labels=(label,))
    for value, number in values.items():
        found.add_metric((value,), number)
    return found
