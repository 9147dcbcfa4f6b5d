"""A contract of its own and a running gateway for every test that asks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest

from taskwire_contracts import Contracts, build, load
from taskwire_contracts.limits import Limits
from taskwire_core.settings import Settings
from taskwire_gateway.embedded import Foundation, lay_foundation, surroundings
from taskwire_gateway.gateway import Gateway, Tuning
from taskwire_gateway.rpc.calls import Call
from tests.gateway.running import Running, Worker
from tests.gateway.two_users import Gateways, acting_as_ada

PROTOS = Path(__file__).parent / "protos"
LIMITS = Limits(payload_bytes=2_000, batch_items=10, batch_bytes=8_000)


@pytest.fixture(scope="session")
def binpb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("contracts") / "acme.binpb"
    build(PROTOS, out)
    return out


@pytest.fixture
def contracts(binpb: Path) -> Contracts:
    return load([binpb])


@pytest.fixture
def database_url() -> str:
    """The gateway's database, "" for SQLite's; a file whose tests need both has `store_url`."""
    return ""


@pytest.fixture
def foundation(tmp_path: Path, database_url: str) -> Iterator[Foundation]:
    found = lay_foundation(Settings(data_dir=tmp_path, database_url=database_url))
    yield found
    found.close()


TUNING = Tuning(limits=LIMITS, stack_traces=True)


@pytest.fixture
async def running(foundation: Foundation, contracts: Contracts) -> AsyncIterator[Running]:
    around = surroundings(contracts, foundation, instruments=foundation.instruments)
    gateway = Gateway(around, TUNING)
    port = await gateway.start("127.0.0.1:0")
    address = f"127.0.0.1:{port}"
    async with grpc.aio.insecure_channel(address) as channel:
        yield Running(gateway, foundation, contracts, channel, address)
    await gateway.close()


@pytest.fixture
def worker(foundation: Foundation) -> Worker:
    return Worker(foundation)


@pytest.fixture
def almost_late(monkeypatch: pytest.MonkeyPatch) -> float:
    """A time-out in seconds of which the gateway believes that half of one is left.

    So its answer has plenty of time for the way, on a busy machine too.
    """
    really = Call.time_left_s

    def time_left_s(call: Call) -> float | None:
        left_s = really(call)
        return None if left_s is None else left_s - 20

    monkeypatch.setattr(Call, "time_left_s", time_left_s)
    return 20.5


@pytest.fixture
async def gateways(
    running: Running, foundation: Foundation, contracts: Contracts
) -> AsyncIterator[Gateways]:
    async with acting_as_ada(foundation, contracts, TUNING) as ada:
        yield Gateways(running, ada)
