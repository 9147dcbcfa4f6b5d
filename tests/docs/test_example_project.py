"""Somebody else's project: its folder alone, taskwire as a wheel, and what its README says.

No package index is asked. The wheel is built from a copy of the clone, so that nothing is taken
from the clone by accident, and what taskwire needs is found where this Python has it.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, blocks
from tests.docs.session import Session
from tests.support.embedded import environment
from tests.support.processes import free_ports
from tests.support.wheel import NOT_COPIED, build_wheel, lend

PROJECT = ROOT / "examples" / "orders"


@pytest.fixture
def outsider(tmp_path: Path) -> Iterator[Session]:
    """A reader in a copy of the project."""
    shutil.copytree(PROJECT, tmp_path / "orders", ignore=NOT_COPIED)
    lend(tmp_path / "lent")
    address = f"127.0.0.1:{free_ports(1)[0]}"
    variables = {
        **environment(listen=address),
        # The project's own environment is made by this very Python, and what it would download
        # is there already: pip asks nobody, and 0 means that it asks nobody for a build's tools.
        "PYTHON": sys.executable,
        "PYTHONPATH": str(tmp_path / "lent"),
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
    }
    places = {"../..": str(build_wheel(tmp_path)), "127.0.0.1:50051": address}
    session = Session(tmp_path / "orders", variables, places)
    try:
        yield session
    finally:
        session.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_readme_of_the_example_project_says_what_happens(outsider: Session) -> None:
    for block in blocks(PROJECT / "README.md"):
        outsider.follow(block)


def test_the_example_project_imports_no_room_of_taskwire() -> None:
    code = "".join(file.read_text() for file in PROJECT.rglob("*.py"))
    assert "taskwire" in code
    assert not re.search(r"(import|from) taskwire_", code)
