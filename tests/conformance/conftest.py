"""What the suites of this folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.stores import BOTH, stores_of
from tests.support.workplaces import MemoryWorkplace, StoreWorkplace, Workplace


@pytest.fixture(params=["memory", *BOTH])
def workplace(request: pytest.FixtureRequest) -> Iterator[Workplace]:
    """A worker's store: the fake of the unit tests, then SQLite's, then PostgreSQL's."""
    if request.param == "memory":
        yield MemoryWorkplace()
        return
    with stores_of(request.param, request).migrated() as url:
        made = StoreWorkplace(url)
        yield made
        made.close()
