"""What a worker process loads before it works: contracts, handlers, and the queues they need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import taskwire_contracts
from taskwire_contracts import Contracts
from taskwire_contracts.limits import Limits
from taskwire_contracts.preparation import Clock, Preparation
from taskwire_contracts.validation import Rules
from taskwire_core.errors import ConfigurationError
from taskwire_core.settings import Settings
from taskwire_worker.crew import CrewOptions
from taskwire_worker.handlers import Handler, load_handlers
from taskwire_worker.isolation import ChildSetup

EXAMPLE_HANDLERS = ("taskwire_examples",)


@dataclass(frozen=True, slots=True)
class Workplace:
    """What a process can run, and `queues`: where it takes it from, by taskwire's names."""

    settings: Settings
    contracts: Contracts
    handlers: Mapping[str, Handler]
    queues: tuple[str, ...]
    isolation: ChildSetup

    @property
    def slots(self) -> int:
        """How many tasks such a process works on at the same time."""
        on_loop = any(handler.on_loop for handler in self.handlers.values())
        return self.settings.worker_threads + on_loop * self.settings.worker_async_slots

    def preparation(self, clock: Clock) -> Preparation:
        """What checks the handlers' own submissions."""
        limits = Limits(payload_bytes=self.settings.max_payload_bytes)
        return Preparation(self.contracts, clock, limits, Rules())

    def options(self, worker_id: bytes) -> CrewOptions:
        """What the crew of that worker is told."""
        return CrewOptions(
            worker_id=worker_id,
            threads=self.settings.worker_threads,
            async_slots=self.settings.worker_async_slots,
            data_dir=self.settings.data_dir,
            cancel_grace_s=self.settings.cancel_grace.total_seconds(),
            max_result_bytes=self.settings.max_payload_bytes,
            isolation=self.isolation,
        )


def load_workplace(
    settings: Settings,
    *,
    host: int,
    examples: bool = False,
    contracts: Contracts | None = None,
) -> Workplace:
    """Loads what the settings name; `contracts` where they are loaded already.

    `host` is the process of the whole service, which a failpoint may end.

    Raises:
        ConfigurationError: A contract or a handler cannot be loaded, or there is no handler.
    """
    modules = EXAMPLE_HANDLERS if examples else settings.handlers
    if not modules:
        raise ConfigurationError(
            "TASKWIRE_HANDLERS must name the modules with your @task functions,"
            " comma-separated, for example TASKWIRE_HANDLERS=acme.tasks"
        )
    if contracts is None:
        paths = [Path(path) for path in settings.contracts]
        contracts = taskwire_contracts.load(paths, examples=examples)
    handlers = load_handlers(modules, contracts)
    needed = [h.task_type.options.queue for h in handlers.values()]
    return Workplace(
        settings=settings,
        contracts=contracts,
        handlers=handlers,
        # Each once: every queue has one consumer.
        queues=tuple(dict.fromkeys(settings.worker_queues or needed)),
        isolation=ChildSetup(
            modules=modules,
            contracts=settings.contracts,
            examples=examples,
            log_level=settings.log_level,
            log_format=settings.log_format,
            failpoints=settings.failpoints,
            host=host,
        ),
    )
