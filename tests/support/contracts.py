"""Contracts of the tests, built as a team builds its own."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from taskwire_contracts.building import build


@functools.cache
def built(protos: Path) -> tuple[Path, Path]:
    """The descriptor set of a folder of .proto files, and its generated Python, for this run."""
    folder = Path(tempfile.mkdtemp(prefix="taskwire-contract-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    build(protos, folder / "contracts.binpb", folder / "python")
    return folder / "contracts.binpb", folder / "python"
