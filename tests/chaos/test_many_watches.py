"""F27 with a thousand watches: what `make chaos` does with ten thousand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos.playing import play
from tests.chaos.proxies import Proxies
from tests.chaos.rows import f27_watches
from tests.chaos.rows.registry import ROWS
from tests.chaos.servers import Servers
from tests.support.servers import RabbitServer

COUNT = 1_000


@pytest.mark.servers
@pytest.mark.timeout(300)
def test_a_thousand_watches_miss_no_end_when_redis_and_then_the_gateway_go_away(
    rabbit: RabbitServer, proxies: Proxies, tmp_path: Path
) -> None:
    servers = Servers()
    servers.rabbit = rabbit
    row = replace(ROWS["F27"], function=lambda chaos: f27_watches.many_watches(chaos, COUNT))
    try:
        played = play(row, 1, servers, proxies, tmp_path, "sqlite")
    finally:
        servers.close()
    assert played.good, f"{played.verdict}\n{played.history}"
