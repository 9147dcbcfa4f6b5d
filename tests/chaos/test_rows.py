"""The rows of the fault matrix: the fast ones in `make test`, all of them with `make chaos`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.playing import play
from tests.chaos.proxies import Proxies
from tests.chaos.rows import Row, all_rows
from tests.chaos.servers import Servers
from tests.support.servers import RabbitServer, RedisServer

SEED = 1


def _case(row: Row) -> object:
    marks = [
        pytest.mark.servers if row.fast else pytest.mark.chaos,
        pytest.mark.timeout(120 + 3 * row.needs_s),
    ]
    return pytest.param(row, id=row.name, marks=marks)


@pytest.fixture(scope="module")
def servers(rabbit: RabbitServer, redis_server: RedisServer) -> Iterator[Servers]:
    """The run's own servers, lent to the rows that do not harm them."""
    made = Servers()
    made.rabbit, made.redis = rabbit, redis_server
    yield made
    made.close()


@pytest.mark.parametrize("row", [_case(row) for row in all_rows()])
def test_row(row: Row, servers: Servers, proxies: Proxies, tmp_path: Path) -> None:
    played = play(row, SEED, servers, proxies, tmp_path, row.stores[0])
    assert played.good, f"{played.verdict}\n{played.history}"
    assert played.faults > 0
    assert played.tasks > 0
