"""The lock files pin versions and hashes, and leave open which registry they come from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_lock_of_the_node_stub_names_no_registry() -> None:
    lock = json.loads((ROOT / "tests/polyglot/node/package-lock.json").read_text())
    packages = {name: each for name, each in lock["packages"].items() if name}
    assert packages
    assert [name for name, each in packages.items() if "resolved" in each] == []
    assert [name for name, each in packages.items() if "integrity" not in each] == []


@pytest.mark.parametrize("name", ["runtime.txt", "dev.txt", "bench.txt"])
def test_the_locks_of_python_name_no_index(name: str) -> None:
    lines = (ROOT / "requirements" / name).read_text().splitlines()
    assert any("--hash=sha256:" in line for line in lines)
    assert [line for line in lines if "://" in line or "-url" in line] == []
