"""That the data folder of an embedded process is its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from taskwire_admin.admin import Admin
from taskwire_contracts import Contracts
from taskwire_core.errors import ConfigurationError
from taskwire_core.settings import Settings
from taskwire_gateway.embedded import BesideWorker, Foundation, run_embedded


class Enough(Exception):
    """The process would work now, and ends instead."""


def never_ready(port: int) -> None:
    raise AssertionError(f"nothing should be served here, and {port} is")


def test_a_data_folder_has_one_embedded_process_at_a_time(
    tmp_path: Path, contracts: Contracts
) -> None:
    settings = Settings(data_dir=tmp_path)

    def run(make_worker: Callable[[Foundation], BesideWorker]) -> None:
        run_embedded(settings, contracts, make_worker, never_ready, Admin("test"))

    def second(_: Foundation) -> BesideWorker:
        raise AssertionError("two processes work on the same data")

    def first(_: Foundation) -> BesideWorker:
        with pytest.raises(ConfigurationError, match="is in use by another taskwire process"):
            run(second)
        raise Enough

    for _ in range(2):
        # The folder is free again once its process has ended.
        with pytest.raises(Enough):
            run(first)
