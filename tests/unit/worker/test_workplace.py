"""What a worker process loads: the queues that it works on."""

from __future__ import annotations

from taskwire_core.settings import Settings
from taskwire_worker.workplace import load_workplace


def test_a_queue_that_is_named_twice_is_worked_on_once() -> None:
    settings = Settings(worker_queues=("b", "a", "b"))
    assert load_workplace(settings, host=0, examples=True).queues == ("b", "a")
