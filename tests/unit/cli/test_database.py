"""That a database file outside the data folder belongs to one embedded process too."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskwire_cli.database import claimed
from taskwire_core.errors import ConfigurationError
from taskwire_core.settings import Settings


def test_a_database_has_one_embedded_process_at_a_time(tmp_path: Path) -> None:
    settings = Settings(database_url=f"sqlite:///{tmp_path}/tasks.db")
    for _ in range(2):
        with (
            claimed(settings),
            pytest.raises(ConfigurationError, match="in use by another"),
            claimed(settings),
        ):
            raise AssertionError("two processes have claimed it")
