"""Somebody else's project: its folder alone, taskwire as a wheel, and what its README says.

No package index is asked. The wheel is built from a copy of the clone, so that nothing is taken
from the clone by accident, and what taskwire needs is found where this Python has it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, blocks
from tests.docs.session import Session
from tests.support.embedded import environment
from tests.support.processes import free_ports

PROJECT = ROOT / "examples" / "orders"

_NOT_COPIED = shutil.ignore_patterns(
    *(".git", ".venv", ".cache", "__pycache__", "node_modules", "data"),
    *("_contracts", "*_pb2*", "build", "generated"),
)
# taskwire itself, and what would change the project's own pip and pytest.
_NOT_LENT = ("taskwire", "_taskwire", "pip", "pytest_asyncio", "__pycache__")


@pytest.fixture
def outsider(tmp_path: Path) -> Iterator[Session]:
    """A reader in a copy of the project."""
    shutil.copytree(PROJECT, tmp_path / "orders", ignore=_NOT_COPIED)
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


def build_wheel(folder: Path) -> Path:
    """taskwire as it would be published."""
    shutil.copytree(ROOT, folder / "clone", ignore=_NOT_COPIED)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps"]
    command = [*pip, "--no-build-isolation", "--wheel-dir", str(folder), str(folder / "clone")]
    subprocess.run(command, check=True)
    (built,) = folder.glob("taskwire-*.whl")
    return built


def lend(folder: Path) -> None:
    """Everything that is installed here but for taskwire, for Python and pip to find."""
    folder.mkdir()
    for each in Path(sysconfig.get_path("purelib")).iterdir():
        if not each.name.startswith(_NOT_LENT):
            (folder / each.name).symlink_to(each)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_readme_of_the_example_project_says_what_happens(outsider: Session) -> None:
    for block in blocks(PROJECT / "README.md"):
        outsider.follow(block)


def test_the_example_project_imports_no_room_of_taskwire() -> None:
    code = "".join(file.read_text() for file in PROJECT.rglob("*.py"))
    assert "taskwire" in code
    assert not re.search(r"(import|from) taskwire_", code)
