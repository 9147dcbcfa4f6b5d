"""What a worker process counts of attempts."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 600, 3600)


class AttemptMetrics:
    """Attempts by task type. Types are those with a handler here: their number is bounded."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._begun = Counter(
            "taskwire_worker_attempts_begun",
            "Attempts that have begun, by task type.",
            ("type",),
            registry=registry,
        )
        self._ended = Counter(
            "taskwire_worker_attempts_ended",
            "Attempts that have ended, by task type and outcome.",
            ("type", "outcome"),
            registry=registry,
        )
        self._seconds = Histogram(
            "taskwire_worker_attempt_seconds",
            "How long attempts run, by task type.",
            ("type",),
            buckets=_SECONDS,
            registry=registry,
        )
        # A look-up of labels costs more than the counting itself.
        self._by_type: dict[str, tuple[Counter, Histogram]] = {}
        self._by_outcome: dict[tuple[str, str], Counter] = {}

    def begun(self, task_type: str) -> None:
        """An attempt has begun."""
        self._of(task_type)[0].inc()

    def ended(self, task_type: str, outcome: str, seconds: float) -> None:
        """An attempt has ended."""
        self._of(task_type)[1].observe(seconds)
        counter = self._by_outcome.get((task_type, outcome))
        if counter is None:
            counter = self._ended.labels(task_type, outcome)
            self._by_outcome[task_type, outcome] = counter
        counter.inc()

    def _of(self, task_type: str) -> tuple[Counter, Histogram]:
        found = self._by_type.get(task_type)
        if found is None:
            found = self._begun.labels(task_type), self._seconds.labels(task_type)
            self._by_type[task_type] = found
        return found
