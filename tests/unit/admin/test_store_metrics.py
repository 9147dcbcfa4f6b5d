"""The store's gauges: fresh enough, bounded, and silent when the store is away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from taskwire_admin.store_metrics import FRESH_S, MAX_SERIES, StoreMetrics
from taskwire_core.errors import StoreUnavailable
from tests.support.admin import Numbers, read


@dataclass
class Figures:
    tasks: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    oldest_s: Mapping[str, float] = field(default_factory=dict)
    workers: int = 2
    slots: int = 16
    bytes: int = 4096
    overdue_s: float = 0.0


class Store:
    def __init__(self) -> None:
        self.figures = Figures()
        self.away = False
        self.reads = 0
        self.now = 0.0
        self.registry = CollectorRegistry()
        self.registry.register(StoreMetrics(self.read, monotonic=lambda: self.now))

    def read(self) -> Figures:
        self.reads += 1
        if self.away:
            raise StoreUnavailable("away")
        return self.figures

    def scrape(self) -> Numbers:
        return read(self.registry)


def test_tasks_are_shown_by_state_type_and_queue() -> None:
    store = Store()
    store.figures.tasks = {("QUEUED", "a.B/C", "q"): 3, ("FAILED", "a.B/C", "q"): 1}
    store.figures.oldest_s = {"q": 1.5}
    found = store.scrape()
    assert found.by("taskwire_store_tasks", "state") == {"QUEUED": 3, "FAILED": 1}
    assert found.by("taskwire_store_oldest_queued_seconds", "queue") == {"q": 1.5}
    assert found.sum("taskwire_store_up") == 1
    assert found.sum("taskwire_store_bytes") == 4096


def test_the_store_is_not_read_by_registering_and_seldom_by_scraping() -> None:
    store = Store()
    assert store.reads == 0
    for _ in range(5):
        store.scrape()
    assert store.reads == 1
    store.now += FRESH_S + 1
    store.scrape()
    assert store.reads == 2


def test_a_store_that_is_away_is_down_and_shows_nothing_else() -> None:
    store = Store()
    store.scrape()
    store.away, store.now = True, FRESH_S + 1
    found = store.scrape()
    assert found.sum("taskwire_store_up") == 0
    assert found.names == {"taskwire_store_up"}


def test_queues_without_number_are_one() -> None:
    store = Store()
    store.figures.tasks = {("QUEUED", "a.B/C", f"q{n}"): n + 1 for n in range(MAX_SERIES + 100)}
    found = store.scrape()
    by_queue = found.by("taskwire_store_tasks", "queue")
    assert len(by_queue) == MAX_SERIES + 1
    assert by_queue["other"] == sum(range(1, 101))
    assert found.sum("taskwire_store_tasks") == sum(store.figures.tasks.values())
