"""An embedded worker on a database of its own, for every test that asks for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import taskwire
import taskwire_contracts
from taskwire_admin.instruments import Instruments
from taskwire_broker.embedded import EmbeddedExchange
from taskwire_broker.envelope import encode
from taskwire_broker.topology import broker_queue
from taskwire_core.settings import Settings
from taskwire_core.task import Dispatch
from taskwire_worker.embedded import EmbeddedWorker
from tests.worker import handlers
from tests.worker.town import Town

EXAMPLES = Path(taskwire.__file__).parent / "_contracts" / "examples.binpb"

Hire = Callable[[], EmbeddedWorker]


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "journal"
    monkeypatch.setenv(handlers.JOURNAL, str(path))
    return path


@pytest.fixture
def exchange() -> EmbeddedExchange:
    return EmbeddedExchange()


@pytest.fixture
def town(tmp_path: Path, exchange: EmbeddedExchange, journal: Path) -> Iterator[Town]:
    def publish(dispatch: Dispatch) -> None:
        deployment_id = made.database.deployment_id
        name = broker_queue(dispatch.queue, deployment_id)
        exchange.put(name, [encode(dispatch, deployment_id)])

    made = Town(tmp_path, publish)
    yield made
    made.close()


@pytest.fixture
def handler_modules() -> tuple[str, ...]:
    """Which handlers a hired worker has; a test module may have fixtures of its own."""
    return (handlers.__name__,)


@pytest.fixture
def instruments() -> Instruments:
    """Of the first worker that is hired; the others have their own."""
    return Instruments()


@pytest.fixture
def hire(
    town: Town,
    exchange: EmbeddedExchange,
    instruments: Instruments,
    tmp_path: Path,
    handler_modules: tuple[str, ...],
) -> Iterator[Hire]:
    hired: list[EmbeddedWorker] = []

    def hire_one() -> EmbeddedWorker:
        worker = EmbeddedWorker(
            Settings(
                data_dir=tmp_path,
                contracts=(str(EXAMPLES),),
                handlers=handler_modules,
                worker_threads=2,
                cancel_grace=timedelta(seconds=0.3),
            ),
            taskwire_contracts.load([EXAMPLES]),
            examples=False,
            writer=town.writer,
            clock=town.database.clock,
            bus=town.bus,
            exchange=exchange,
            deployment_id=town.database.deployment_id,
            instruments=Instruments() if hired else instruments,
        )
        hired.append(worker)
        return worker

    yield hire_one
    for worker in hired:
        worker.drain(0)


@pytest.fixture
def worker(hire: Hire) -> EmbeddedWorker:
    made = hire()
    made.start()
    return made
